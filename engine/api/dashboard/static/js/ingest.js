// Adds recordings: drop files, watch each on its way, see what failed and why.

import { changed, events, read, send } from "./api.js";
import { fill, h, icon, amount, number, toast } from "./dom.js";
import { bind } from "./keys.js";

const AT_ONCE = 2;
const POLL_S = 1;
const LISTED = 20;

// What was added in this tab stays in sight while other pages are looked at.
const items = [];
let running = 0;
let list = null;

export function render(main, { signal }) {
  const said = { source: text("source", "Source", "support-2026", "Where they come from"), label: text("label", "Label", "", "What all of them sound like, if known"), speaker: text("speaker", "Speaker", ""), recorded_at: h("input", { type: "datetime-local", name: "recorded_at", id: "said-recorded_at" }), metadata: text("metadata", "Metadata", "queue=billing, team=north") };
  const chooser = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Audio files", accept: "audio/*,video/*,.flac,.opus,.ogg,.m4a", onchange: () => { take(chooser.files); chooser.value = ""; } });
  const zone = h("div.zone.tall", {
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("over"); },
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); take(event.dataTransfer.files); },
  }, h("p", {}, h("b", {}, "Drop recordings here"), " – calls, messages, any audio"),
    h("div.row.centre", {}, h("button.primary", { type: "button", onclick: () => chooser.click() }, icon("file"), "Choose files")), chooser);
  list = h("ol.jobs", { "aria-label": "Files on their way" });
  const before = h("section", {});
  const failures = h("section", {});

  function take(files) {
    const about = {};
    for (const [name, field] of Object.entries(said)) about[name] = field.value.trim();
    for (const file of files) items.push({ file, about, state: "waiting", key: unique(), progress: null, element: h("li.job", {}) });
    show();
    pump();
  }

  fill(main, h("h1", {}, "Add recordings"),
    h("p.lead", {}, "Each is cut into clips where somebody speaks, and can be found by its sound as soon as it is in."),
    h("div.columns.wide", {},
      h("section", {}, zone, list),
      h("section.about", {}, h("h2", {}, "About the next files"),
        field("Source", said.source), field("Label", said.label), field("Speaker", said.speaker),
        field("Recorded at", said.recorded_at), field("Metadata", said.metadata, "key=value, several with commas between"))),
    before, failures);
  bind([]);
  show();
  told(before, failures, signal);
}

const text = (name, title, placeholder) => h("input", { type: "text", name, id: `said-${name}`, placeholder, maxlength: 200, autocomplete: "off" });

function field(title, input, hint) {
  return h("div.field", {}, h("label", { for: input.id }, title), input, hint && h("p.hint", {}, hint));
}

function unique() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
}

function show() {
  items.forEach(tell);
  fill(list, items.map((one) => one.element).reverse());
}

function pump() {
  while (running < AT_ONCE) {
    const next = items.find((one) => one.state === "waiting");
    if (!next) return;
    running++;
    next.state = "sending";
    tell(next);
    work(next).catch((error) => { next.state = "failed"; next.error = error.message; }).finally(() => { running--; tell(next); changed(); pump(); });
  }
}

/** Send a file and follow its job: by events, or if they break off, by asking again and again. */
async function work(item) {
  const form = new FormData();
  form.append("file", item.file, item.file.name);
  for (const [name, value] of Object.entries(item.about)) {
    if (!value) continue;
    if (name === "metadata") for (const pair of value.split(",").map((one) => one.trim()).filter(Boolean)) form.append(name, pair);
    else form.append(name, name === "recorded_at" ? new Date(value).toISOString() : value);
  }
  let job = await (await send("/v1/recordings", { method: "POST", body: form, headers: { "idempotency-key": item.key } })).json();
  const news = (now) => { job = now; item.state = now.status; item.progress = now.progress.fraction; item.job = now; tell(item); };
  news(job);
  while (!["done", "failed"].includes(job.status)) {
    try {
      for await (const { event, data } of events(`/v1/jobs/${job.job}/events`)) {
        if (event === "job") news(data);
        if (event === "gone") throw Object.assign(new Error("the recording was erased"), { status: 404 });
        if (event === "bye") break;
      }
    } catch (error) {
      if (error.status === 404) throw error;
    }
    if (["done", "failed"].includes(job.status)) break;
    await new Promise((done) => setTimeout(done, POLL_S * 1000));
    news(await read(`/v1/jobs/${job.job}`));
  }
  if (job.status === "failed") throw new Error(job.problem?.detail ?? "it could not be taken in");
}

const WORDS = { waiting: "waiting", sending: "sending…", queued: "in the queue", running: "being embedded", done: "in the archive", failed: "failed" };

function tell(item) {
  const { state, job, progress } = item;
  const word = state === "done" && job.new === false ? "was in the archive already" : WORDS[state];
  const moves = ["sending", "queued", "running"].includes(state);
  item.element.className = `job ${state}`;
  item.element.dataset.state = state;
  fill(item.element,
    h("div.row.between", {}, h("b", {}, item.file.name), h("span.state", {}, word)),
    moves && bar(progress),
    state === "running" && job.progress.of && h("p.hint", {}, `${amount(job.progress.seconds)} of ${amount(job.progress.of)}`),
    state === "done" && h("a", { href: `#/recordings/${job.recording}` }, "Open the recording"),
    state === "failed" && h("div.row.between", {}, h("p.why", {}, item.error), h("button", { type: "button", onclick: () => { Object.assign(item, { state: "waiting", key: unique(), progress: null, error: null }); tell(item); pump(); } }, "Try again")));
}

function bar(fraction) {
  const made = h("progress", { max: 1, "aria-label": "Progress" });
  if (fraction) made.value = fraction;
  return made;
}

async function told(before, failures, signal) {
  try {
    const [jobs, failed] = await Promise.all([read(`/v1/jobs?limit=${LISTED}`, { signal }), read(`/v1/failures?limit=${LISTED}`, { signal })]);
    const earlier = jobs.data.filter((job) => !items.some((one) => one.job?.job === job.job));
    fill(before, h("h2", {}, "Uploads of the last days"), earlier.length
      ? h("div.table", { tabindex: "0", role: "region", "aria-label": "Uploads of the last days" }, h("table", {}, h("thead", {}, h("tr", {}, ["File", "State", "When", "Recording"].map((one) => h("th", { scope: "col" }, one)))),
        h("tbody", {}, earlier.map((job) => h("tr", {}, h("td", {}, job.file), h("td", {}, job.status === "failed" ? job.problem.detail : WORDS[job.status] ?? job.status), h("td", {}, when(job.created_at)),
          h("td", {}, job.recording ? h("a", { href: `#/recordings/${job.recording}` }, "open") : ""))))))
      : h("p.hint", {}, "None yet."));
    fill(failures, h("h2", {}, "Files that could not be ingested"), failed.data.length
      ? h("div.table", { tabindex: "0", role: "region", "aria-label": "Failures" }, h("table", {}, h("thead", {}, h("tr", {}, ["File", "Why", "Tried", "When"].map((one) => h("th", { scope: "col" }, one)))),
        h("tbody", {}, failed.data.map((one) => h("tr", {}, h("td", {}, one.file), h("td", {}, one.reason), h("td", {}, number(one.attempts)), h("td", {}, when(one.failed_at)))))))
      : h("p.hint", {}, "None. Failed uploads are told above, with the reason."));
  } catch (error) {
    if (!signal.aborted) toast(error.message, "error");
  }
}

const when = (moment) => new Date(moment).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
