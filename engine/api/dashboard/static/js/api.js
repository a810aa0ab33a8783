// Calls of the API: the key where one is needed, problems as errors, patience where it is asked for.

import { askForKey } from "./key.js";
import { t, translated } from "./words.js";

/** What the API answers is wrong (problem details, RFC 9457). */
export class Problem extends Error {
  constructor(status, problem = {}, after = 0) {
    const faults = (problem.errors ?? []).map((one) => `${one.where.replace(/^body\./, "")}: ${translated(one.message)}`).join("; ");
    super(faults || (problem.detail ? translated(problem.detail) : t("the server answered {status}", { status })));
    this.status = status;
    this.after = after;  // seconds until it is worth another try; 0 if that is not known
    this.kind = (problem.type ?? "").split(":").pop();
    this.title = problem.title ?? "";
  }
}

/** That no answer came. */
export const unreachable = () => new Problem(0, { title: t("No answer"), detail: t("the server cannot be reached; is it still running?") });

const TRIES = 4;
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** The address of one of this server's paths, also where a proxy has it below a path of its own. */
export const at = (path) => new URL(`.${path}`, document.baseURI).href;

export function authorization() {
  const key = sessionStorage.getItem("key");
  return key ? { authorization: `Bearer ${key}` } : {};
}

/**
 * The answer to a request, once it is good. Asks for a key on 401, waits on 429 and 503; if only
 * `once` is to be tried, these are problems as all others.
 */
export async function send(path, { method = "GET", json, body, headers = {}, signal, once = false } = {}) {
  for (let tried = 1; ; tried++) {
    const key = sessionStorage.getItem("key");
    let answer;
    try {
      answer = await fetch(at(path), {
        method,
        signal,
        body: json === undefined ? body : JSON.stringify(json),
        headers: { ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers, ...authorization() },
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    }
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    const after = Number(answer.headers.get("retry-after")) || 0;
    if (once) throw new Problem(answer.status, problem, after);
    if (answer.status === 401 && (await askForKey(key))) continue;
    if ([429, 503].includes(answer.status) && tried < TRIES && (method === "GET" || answer.status === 429)) {
      await pause(Math.min(10, after || 1));
      continue;
    }
    throw new Problem(answer.status, problem, after);
  }
}

/** POST a form once; `told(share)` of how much of it is sent, which `fetch` does not say. The answer. */
export function upload(path, body, headers, signal, told) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", at(path));
    for (const [name, value] of Object.entries({ ...headers, ...authorization() })) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => told(loaded / total));
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(signal.reason));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(request.response);
      else reject(new Problem(request.status, request.response ?? {}, Number(request.getResponseHeader("retry-after")) || 0));
    });
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

export const read = async (path, options) => (await send(path, options)).json();

/** Rows of a list, page by page from `cursor`, up to `most` of them; whether there are more, and how many in all. */
export async function readAll(path, { most = 5000, cursor = null, signal } = {}) {
  const rows = [];
  let total;
  do {
    const url = new URL(path, location.origin);
    url.searchParams.set("limit", Math.min(500, most - rows.length));
    if (cursor !== null) url.searchParams.set("cursor", cursor);
    const page = await read(url.pathname + url.search, { signal });
    rows.push(...page.data);
    ({ next: cursor, total } = page);
  } while (cursor !== null && rows.length < most);
  return { rows, more: cursor !== null, total };
}

const kept = new Map();

/** What is read once and then remembered for `seconds`: counts and names that change slowly. */
export async function remembered(path, seconds = 20) {
  const known = kept.get(path);
  if (known && Date.now() - known.at < seconds * 1000) return known.value;
  const value = read(path);
  kept.set(path, { at: Date.now(), value });
  value.catch(() => kept.delete(path));
  return value;
}

/** Forget what was remembered: something was changed. */
export const changed = () => kept.clear();
