// Adds recordings: drop files, watch each on its way, see what failed and why.

import { fill, h, refill } from "./dom.js";
import { dropZone } from "./dropzone.js";
import { failures, uploads, WORDS } from "./earlier.js";
import { bind } from "./keys.js";
import { replaceButton } from "./key.js";
import { add, again, goOn, held, items, queue, wrongMetadata } from "./queue.js";
import { amount, number, plural, t } from "./words.js";

const MOST_SHOWN = 200;
const REST_MS = 250;  // between looks at what has changed: of many files many change at once
const ORDER = { failed: 0, running: 1, sending: 1, queued: 2, waiting: 3, done: 4 };

const CHANNELS = [["", "not said: all mixed"], ["split", "each by itself"], ["0", "the first alone"], ["1", "the second alone"], ["mix", "all mixed"]];

const said = {};  // what was last said about files, as other pages are looked at in between
const shown = new WeakMap();  // elements by item

export function render(main, { signal }) {
  const input = (name, props) => h("input", { type: "text", name, id: `said-${name}`, maxlength: 200, autocomplete: "off", value: said[name] ?? "", ...props });
  const fields = {
    source: input("source", { placeholder: "support-2026" }),
    label: input("label"),
    speaker: input("speaker"),
    recorded_at: input("recorded_at", { type: "datetime-local", maxlength: null }),
    channels: h("select", { name: "channels", id: "said-channels" }, ...CHANNELS.map(([value, text]) => h("option", { value, selected: value === (said.channels ?? "") }, text))),
    metadata: input("metadata", { placeholder: "queue=billing, team=north", maxlength: 2000 }),
  };
  const form = h("form.about", { onsubmit: (event) => event.preventDefault(), oninput: () => { for (const [name, field] of Object.entries(fields)) said[name] = field.value; } },
    h("h2", {}, "About the next files"),
    labelled("Source", fields.source, "Where they come from"),
    labelled("Label", fields.label, "What all of them sound like, if known"),
    labelled("Speaker", fields.speaker), labelled("Recorded at", fields.recorded_at),
    labelled("Channels", fields.channels, "Of calls, the customer's alone is the safe choice"),
    labelled("Metadata", fields.metadata, "key=value, several with commas between"));

  /** What the form says; null, and why, if it cannot be used. */
  function about() {
    fields.metadata.setCustomValidity(wrongMetadata(fields.metadata.value));
    const bad = Object.values(fields).find((field) => !field.checkValidity());
    fields.metadata.setCustomValidity("");
    zone.say(bad ? `Nothing was sent: ${bad === fields.metadata ? wrongMetadata(bad.value) || bad.validationMessage : bad.validationMessage} (${bad.labels[0].textContent}). Correct it, then try again.` : "");
    bad?.focus();
    return bad ? null : Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()]));
  }
  const take = (files) => { const now = about(); if (now) add(files, now); };
  const retry = (some) => { const now = about(); if (now) again(some, now); };

  const zone = dropZone(take, { lead: [h("b", {}, t("Drop recordings here")), t(" – calls, messages, any audio")], tall: true });
  const summary = h("p.summary", { role: "status" });
  const hold = h("div.hold", {});
  const all = h("button", { type: "button", hidden: true, onclick: () => retry(items.filter((one) => one.state === "failed")) }, "Try all failed again");
  const list = h("ol.jobs", { "aria-label": "Files on their way" });
  const rest = h("p.hint", { hidden: true });

  let waiting = 0;
  function tell() {
    waiting = 0;
    const many = (...states) => items.filter((one) => states.includes(one.state)).length;
    const [done, failed, unsent] = [many("done"), many("failed"), many("waiting", "sending")];
    fill(summary, items.length ? [`${number(done)} of ${number(items.length)} done`, failed && `${number(failed)} failed`, unsent && `${number(unsent)} not sent yet: keep this tab open`].filter(Boolean).join(", ") : "");
    refill(hold, held ? [holding()] : []);
    all.hidden = failed < 2;
    const sorted = items.map((item, place) => ({ item, place })).sort((a, b) => ORDER[a.item.state] - ORDER[b.item.state] || b.place - a.place).slice(0, MOST_SHOWN).map((one) => one.item);
    refill(list, sorted.map((item) => tellItem(item, retry)), zone.element.querySelector("button"));
    rest.hidden = items.length <= MOST_SHOWN;
    fill(rest, `and ${plural(items.length - MOST_SHOWN, "more file")}`);
  }
  const soon = () => { waiting ||= setTimeout(tell, REST_MS); };
  queue.addEventListener("change", soon, { signal });
  signal.addEventListener("abort", () => clearTimeout(waiting));

  fill(main, h("h1", {}, "Add recordings"),
    h("p.lead", {}, "Each is cut into clips where somebody speaks, and can be found by its sound as soon as it is in."),
    h("div.columns.wide", {},
      h("section", {}, zone.element, h("div.row.between", {}, summary, all), hold, list, rest),
      form),
    uploads(signal), failures(signal));
  bind([]);
  tell();
}

const labelled = (title, input, hint) => h("div.field", {}, h("label", { for: input.id }, title), input, hint && h("p.hint", {}, hint));

function holding() {
  return h("div.problem", { role: "alert" },
    h("p", {}, held.passing ? `Sending waits a little and then goes on: ${held.text}` : `Stopped: ${held.text}`),
    h("div.row", {},
      h("button", { type: "button", onclick: goOn }, held.passing ? "Try now" : "Go on"),
      ["forbidden", "unauthorized"].includes(held.kind) && replaceButton()));
}

/** The element of an item, told anew where the item has changed. */
function tellItem(item, retry) {
  const known = shown.get(item);
  const now = JSON.stringify([item.state, item.job?.progress, item.error]);
  if (known?.now === now && known.retry === retry) return known.element;
  const element = known?.element ?? h("li.job", {});
  shown.set(item, { element, now, retry });
  element.className = `job ${item.state}`;
  return refill(element, [h("div.row.between", {}, h("b", {}, item.file.name), stateOf(item)), jobState(item, retry, true)]);
}

const stateOf = ({ state, job }) => h("span.state", {}, state === "done" && job.new === false ? t("was in the archive already") : WORDS[state]);

/** How far an item is, or what became of it; with a button if `retry` can be pressed. */
export function jobState(item, retry = null, titled = false) {
  const { state, job, error, file } = item;
  return [
    !titled && h("p.row", {}, stateOf(item)),
    ["sending", "queued", "running"].includes(state) && bar(job?.progress.fraction, file.name),
    state === "running" && job.progress.of && h("p.hint", {}, t("{done} of {all}", { done: amount(job.progress.seconds), all: amount(job.progress.of) })),
    state === "done" && h("a", { href: `#/recordings/${job.recording}`, "aria-label": t("Open the recording {name}", { name: file.name }) }, t("Open the recording")),
    ...(state === "done" ? job.notices ?? [] : []).map((text) => h("p.hint", {}, text)),
    state === "failed" && h("div.row.between", {}, h("p.why", {}, error), retry && h("button", { type: "button", "aria-label": t("Try again {name}", { name: file.name }), onclick: () => retry([item]) }, t("Try again"))),
  ];
}

function bar(fraction, name) {
  const made = h("progress", { max: 1, "aria-label": t("Progress of {name}", { name }) });
  if (fraction) made.value = fraction;
  return made;
}
