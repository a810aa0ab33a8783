// Adds recordings: drop files, watch each on its way, see what failed and why.

import { fill, h, refill } from "./dom.js";
import { dropZone } from "./dropzone.js";
import { failures, uploads, WORDS } from "./earlier.js";
import { bind } from "./keys.js";
import { replaceButton } from "./key.js";
import { add, again, cancel, goOn, items, obstacle, queue, wrongPairs } from "./queue.js";
import { amount, number, t, translated } from "./words.js";

const MOST_SHOWN = 200;
const REST_MS = 250;  // between looks at what has changed: of many files many change at once
const UNSENT = ["waiting", "sending"];
const ORDER = { failed: 0, running: 1, sending: 1, queued: 2, waiting: 3, done: 4 };

const entered = {};  // what the form says, as other pages are looked at in between
const shown = new WeakMap();  // elements by item

export function render(main, { signal }) {
  const input = (name, props) => h("input", { type: "text", name, id: `about-${name}`, maxlength: 200, autocomplete: "off", value: entered[name] ?? "", ...props });
  const fields = {
    source: input("source", { placeholder: "support-2026" }),
    speaker: input("speaker"),
    label: input("label"),
    labels: input("labels", { placeholder: "satisfaction=low", maxlength: 2000 }),
    recorded_at: input("recorded_at", { type: "datetime-local", maxlength: null }),
    metadata: input("metadata", { placeholder: "queue=billing, team=north", maxlength: 2000 }),
  };
  const channels = channelChoice();
  const form = h("form.about", { onsubmit: (event) => event.preventDefault(), oninput: () => { for (const [name, field] of Object.entries(fields)) entered[name] = field.value; } },
    h("h2", {}, t("About the next files")),
    channels.element,
    labelled(t("Source"), fields.source, t("Where they come from")),
    labelled(t("Speaker"), fields.speaker, t("Who speaks, if it is one person")),
    labelled(t("Label"), fields.label, t("What all of them sound like, if known")),
    labelled(t("Labels of other tasks"), fields.labels, t("task=value, several with commas between")),
    labelled(t("Recorded at"), fields.recorded_at),
    labelled(t("Metadata"), fields.metadata, t("key=value, several with commas between")));

  const PAIRS = ["metadata", "labels"];
  /** What the form says; null, and why beside the field, if it cannot be used. */
  function about() {
    for (const name of PAIRS) fields[name].setCustomValidity(wrongPairs(fields[name].value));
    const all = [...channels.fields(), ...Object.values(fields)];
    const bad = all.filter((field) => !field.checkValidity());
    for (const name of PAIRS) fields[name].setCustomValidity("");
    zone.say(bad.length ? t("Nothing was sent: correct what is marked in the form, then try again.") : "");
    bad[0]?.focus();
    return bad.length ? null : { ...Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value.trim()])), channels: channels.value() };
  }
  const take = (files) => { const now = about(); if (now) add(files, now); };
  const retry = (some) => { const now = about(); if (now) again(some, now); };

  const zone = dropZone(take, { lead: [h("b", {}, t("Drop recordings here")), t(" – calls, messages, any audio")], tall: true });
  const summary = h("p.summary", { role: "status" });
  const hold = h("div.hold", {});
  const all = h("button", { type: "button", hidden: true, onclick: () => retry(items.filter((one) => one.state === "failed")) }, t("Try all failed again"));
  const none = h("button", { type: "button", hidden: true, onclick: () => cancel(items.filter((one) => UNSENT.includes(one.state))) }, t("Cancel all not sent yet"));
  const list = h("ol.jobs", { "aria-label": t("Files on their way") });
  const rest = h("p.hint", { hidden: true });

  let waiting = 0;
  function tell() {
    waiting = 0;
    const many = (...states) => items.filter((one) => states.includes(one.state)).length;
    const [done, failed, unsent] = [many("done"), many("failed"), many(...UNSENT)];
    fill(summary, items.length ? [t("{done} of {all} done", { done: number(done), all: number(items.length) }), failed && t("{n} failed", { n: number(failed) }), unsent && t("{n} not sent yet: keep this tab open", { n: number(unsent) })].filter(Boolean).join(t(", ")) : "");
    refill(hold, obstacle ? [holding()] : []);
    all.hidden = failed < 2;
    none.hidden = unsent < 2;
    const sorted = items.map((item, place) => ({ item, place })).sort((a, b) => ORDER[a.item.state] - ORDER[b.item.state] || b.place - a.place).slice(0, MOST_SHOWN).map((one) => one.item);
    refill(list, sorted.map((item) => tellItem(item, retry)), zone.element.querySelector("button"));
    rest.hidden = items.length <= MOST_SHOWN;
    fill(rest, t("and {n} more", { n: number(items.length - MOST_SHOWN) }));
  }
  const soon = () => { waiting ||= setTimeout(tell, REST_MS); };
  queue.addEventListener("change", soon, { signal });
  signal.addEventListener("abort", () => clearTimeout(waiting));

  fill(main, h("h1", {}, t("Add recordings")),
    h("p.lead", {}, t("Each is cut into clips where somebody speaks, and can be found by its sound as soon as it is in.")),
    h("div.columns.wide.adding", {},
      h("div.stack", {}, zone.element, h("div.row.between", {}, summary, h("div.row", {}, none, all)), hold, list, rest),
      form,
      h("div.stack", {}, uploads(signal), failures(signal))));
  bind([]);
  tell();
}

/** A field with its title and a hint. */
const labelled = (title, input, hint) => h("div.field", {}, h("label", { for: input.id }, title), input, hint && h("p.hint", {}, hint));

/** Which channels of the files become clips, and what they are called. */
function channelChoice() {
  const ways = [
    ["mix", t("All in one"), t("For one voice, or a recording of one channel.")],
    ["split", t("Each by itself"), t("Two people on a call each have clips of their own.")],
    ["named", t("By name"), t("Only the channels you name are taken in.")],
  ];
  const now = () => entered.channels ?? "mix";
  const first = h("input", { type: "text", id: "about-first", maxlength: 50, autocomplete: "off", placeholder: "agent", value: entered.first ?? "" });
  const second = h("input", { type: "text", id: "about-second", maxlength: 50, autocomplete: "off", placeholder: "customer", value: entered.second ?? "" });
  const names = h("div.pair", { hidden: now() !== "named", oninput: () => { entered.first = first.value; entered.second = second.value; } },
    labelled(t("First channel"), first), labelled(t("Second channel"), second));
  const element = h("fieldset.channels", {}, h("legend", {}, t("Channels")),
    ways.map(([value, title, hint]) => h("label.way", {}, h("input", { type: "radio", name: "channels", value, checked: entered.channels === value, onchange: () => { entered.channels = value; names.hidden = value !== "named"; } }), h("span", {}, title, h("small", {}, hint)))),
    names,
    h("p.hint", {}, t("Agents must not be scored silently: the EU AI Act, article 5(1)(f), forbids inferring emotions at work except for medical or safety reasons. To take in the customer alone, name that channel and leave the agent's empty.")));
  return {
    element,
    fields() {
      const wrong = now() !== "named" ? "" : !first.value.trim() && !second.value.trim() ? t("Name a channel at least.") : /[=,]/.test(first.value + second.value) ? t("A name has neither = nor a comma.") : "";
      first.setCustomValidity(wrong);
      return [first, second];
    },
    // Nothing where nothing was chosen: then the answer says that they were mixed.
    value: () => (now() !== "named" ? entered.channels ?? "" : [[first, 0], [second, 1]].filter(([field]) => field.value.trim()).map(([field, place]) => `${field.value.trim()}=${place}`).join(",")),
  };
}

function holding() {
  return h("div.problem", { role: "alert" },
    h("p", {}, obstacle.passing ? t("Sending waits a little and then goes on: {why}", { why: obstacle.text }) : t("Stopped: {why}", { why: obstacle.text })),
    h("div.row", {},
      h("button", { type: "button", onclick: goOn }, obstacle.passing ? t("Try now") : t("Go on")),
      ["forbidden", "unauthorized"].includes(obstacle.kind) && replaceButton()));
}

/** The element of an item, told anew where the item has changed. */
function tellItem(item, retry) {
  const known = shown.get(item);
  const now = JSON.stringify([item.state, item.sent, item.job?.progress, item.error]);
  if (known?.now === now && known.retry === retry) return known.element;
  const element = known?.element ?? h("li.job", {});
  shown.set(item, { element, now, retry });
  element.className = `job ${item.state}`;
  const name = item.file.name;
  const drop = (what, title) => h("button.quiet", { type: "button", "aria-label": title, onclick: () => cancel([item]) }, what);
  return refill(element, [h("div.row.between", {}, h("b", {}, name), h("span.row", {}, stateOf(item),
    UNSENT.includes(item.state) && drop(t("Cancel"), t("Cancel {name}", { name })), item.state === "failed" && drop(t("Remove"), t("Remove {name}", { name })))), jobState(item, retry, true)]);
}

const stateOf = ({ state, job }) => h("span.state", {}, state === "done" && job.new === false ? t("was in the archive already") : WORDS[state]);

/** How far an item is, or what became of it; with a button if `retry` can be pressed. */
export function jobState(item, retry = null, titled = false) {
  const { state, job, error, file } = item;
  return [
    !titled && h("p.row", {}, stateOf(item)),
    ["sending", "queued", "running"].includes(state) && bar(job ? job.progress.fraction : item.sent, file.name),
    state === "running" && job.progress.of && h("p.hint", {}, t("{done} of {all}", { done: amount(job.progress.seconds), all: amount(job.progress.of) })),
    state === "done" && h("a", { href: `#/recordings/${job.recording}`, "aria-label": t("Open the recording {name}", { name: file.name }) }, t("Open the recording")),
    ...(state === "done" ? job.notices ?? [] : []).map((text) => h("p.hint", {}, translated(text))),
    state === "failed" && h("div.row.between", {}, h("p.why", {}, error), retry && h("button", { type: "button", "aria-label": t("Try again {name}", { name: file.name }), onclick: () => retry([item]) }, t("Try again"))),
  ];
}

function bar(fraction, name) {
  const made = h("progress", { max: 1, "aria-label": t("Progress of {name}", { name }) });
  if (fraction) made.value = fraction;
  return made;
}
