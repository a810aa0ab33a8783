// Files on their way into the archive: sent a few at a time, then followed until they are in it.
// They outlast the page that shows them, but not the tab: it asks before it is closed.

import { changed, read, send, upload } from "./api.js";
import { askForKey } from "./key.js";
import { events } from "./sse.js";
import { t, translated } from "./words.js";

const AT_ONCE = 2;
const POLL_S = 1;
const PAUSE_S = 5;  // where the server does not say for how long
const MOST_LISTED = 500;
const PASSING = [0, 429, 503];  // unreachable, busy, ending: the file is as good as before
const MOST_FOLLOWED = 2;  // a browser has six connections to a server, and pages need some
const GONE = { state: "failed", error: t("the server knows its job no longer: the recording was erased") };
const NO_USE = [401, 403, 507];  // no file would be taken

/** `{file, about, key, state, sent, job, error}`; states: waiting, sending, queued, running, done, failed. */
export const items = [];

/** Tells `change` when something about the items has, or about what holds them up. */
export const queue = new EventTarget();

/** What keeps those that wait from being sent: `{text, kind, passing}`; null if nothing does. */
export let obstacle = null;
let pause = 0;

/** Send these as well; `about` is what is known about them, as `{name: text}`. Their items. */
export function add(files, about) {
  const made = [...files].map((file) => ({ file, about, key: unique(), state: "waiting", job: null, error: null }));
  items.push(...made);
  pump();
  return made;
}

/** Send failed ones again, with what is known about them now. */
export function again(some, about) {
  for (const item of some) Object.assign(item, { about, key: unique(), state: "waiting", job: null, error: null });
  pump();
}

/** Take these off the list; what is being sent is not sent any further. */
export function cancel(some) {
  for (const item of some) {
    items.splice(items.indexOf(item), 1);
    item.stop?.abort();
  }
  pump();
}

/** Try at once what is kept from being sent. */
export function goOn() {
  clearTimeout(pause);
  obstacle = null;
  pump();
  follow();
}

function hold(error) {
  clearTimeout(pause);
  obstacle = { text: error.message, kind: error.kind, passing: PASSING.includes(error.status) };
  if (obstacle.passing) pause = setTimeout(goOn, (error.after || PAUSE_S) * 1000);
  notify();
}

const notify = () => {
  const unsent = items.some((one) => ["waiting", "sending"].includes(one.state));
  if (unsent) addEventListener("beforeunload", ask);
  else removeEventListener("beforeunload", ask);
  queue.dispatchEvent(new Event("change"));
};
const ask = (event) => event.preventDefault();

function pump() {
  let sending = items.filter((one) => one.state === "sending").length;
  for (const item of items) {
    if (obstacle || sending >= AT_ONCE) break;
    if (item.state !== "waiting") continue;
    item.state = "sending";
    sending++;
    post(item).finally(pump);
  }
  notify();
}

async function post(item) {
  const used = sessionStorage.getItem("key");
  Object.assign(item, { sent: 0, stop: new AbortController() });
  try {
    await checkReadable(item.file);
    const sent = (share) => { item.sent = share; notify(); };
    take(item, await upload("/v1/recordings", form(item), { "idempotency-key": item.key }, item.stop.signal, sent));
    follow();
  } catch (error) {
    if (!item.stop.signal.aborted) await refused(item, error, used);
  }
}

async function refused(item, error, used) {
  const readable = await checkReadable(item.file).then(() => null, (unreadable) => unreadable);
  if (readable || ![...PASSING, ...NO_USE].includes(error.status)) {
    Object.assign(item, { state: "failed", error: (readable ?? error).message });
    return;
  }
  item.state = "waiting";
  if (obstacle) return;  // the other one was refused as well, and shown
  hold(error);
  if (error.status === 401 && (await askForKey(used))) goOn();
}

/** Fail if the file cannot be read, which a request that fails does not tell. */
async function checkReadable(file) {
  try {
    await (file.size ? file.slice(0, 1) : file).arrayBuffer();  // of one that is gone the size is 0
  } catch {
    throw new Error(t("it cannot be read: a folder, or a file that was moved or changed since"));
  }
}

function form({ file, about }) {
  const made = new FormData();
  made.append("file", file, file.name);
  for (const [name, value] of Object.entries(about)) {
    if (["metadata", "labels"].includes(name)) for (const pair of pairsOf(value)) made.append(name, pair);
    else if (value) made.append(name, name === "recorded_at" ? new Date(value).toISOString() : value);
  }
  return made;
}

const pairsOf = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

/** What is wrong with pairs as they are written; "" if nothing is. */
export function wrongPairs(text) {
  const known = new Map();
  for (const pair of pairsOf(text)) {
    const [, key, value] = /^\s*([^=]*?)\s*=\s*(.*)$/.exec(pair) ?? [];
    if (!key) return t("\"{pair}\" is not of the form key=value", { pair });
    if ((known.get(key) ?? value) !== value) return t("{key} is given two values", { key });
    known.set(key, value);
  }
  return "";
}

function unique() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
}

function take(item, job) {
  if (job.status === "done" && item.state !== "done") changed();
  Object.assign(item, { job, state: job.status });
  if (job.status === "failed") item.error = job.problem ? translated(job.problem.detail) : t("it could not be taken in");
}

const open = () => items.filter((one) => ["queued", "running"].includes(one.state));
const followed = new Set();
let polling = false;

/** Follow the jobs: some by their events, as they come; of the others ask now and then. */
function follow() {
  for (const item of open()) if (!followed.has(item) && followed.size < MOST_FOLLOWED) listen(item);
  poll();
}

/** The events of an item's job (server-sent events), until it is finished or its server ends. */
async function listen(item) {
  followed.add(item);
  try {
    const answer = await send(`/v1/jobs/${item.job.job}/events`, { once: true });
    for await (const { event, data } of events(answer.body)) {
      if (event === "job") take(item, data);
      else if (event === "gone") Object.assign(item, GONE);
      notify();
    }
  } catch {  // the poll tells, if it is for long
  } finally {
    followed.delete(item);
    setTimeout(follow, POLL_S * 1000);
  }
}

async function poll() {
  if (polling) return;
  polling = true;
  let rest = POLL_S;
  while (open().length) {
    await new Promise((done) => setTimeout(done, rest * 1000));
    const some = open().filter((one) => !followed.has(one));
    try {
      if (some.length) await news(some);
      rest = POLL_S;
    } catch (error) {
      if (NO_USE.includes(error.status)) { hold(error); break; }
      rest = error.after || PAUSE_S;
    }
  }
  polling = false;
}

async function news(some) {
  const ids = some.map((one) => one.job.job);
  const [first, jobs] = [Math.min(...ids), new Map()];
  for (let cursor = Math.max(...ids) + 1; cursor !== null && cursor > first;) {
    const page = await read(`/v1/jobs?limit=${Math.min(MOST_LISTED, cursor - first)}&cursor=${cursor}`, { once: true });
    for (const job of page.data) jobs.set(job.job, job);
    cursor = page.next;
  }
  for (const item of some) {
    const job = jobs.get(item.job.job);
    if (job) take(item, job);
    else Object.assign(item, GONE);
  }
  notify();
}

document.addEventListener("keychange", () => { if (obstacle) goOn(); });
addEventListener("online", () => { if (obstacle?.passing) goOn(); });
