// Clips chosen on the map: what they are, one label for all of them, a file of them.

import { changed, send } from "./api.js";
import { h, fill, toast } from "./dom.js";
import { dot, named, sorted } from "./emotions.js";
import { replaceButton } from "./key.js";
import { labelsOf } from "./labelling.js";
import { save, csv } from "./save.js";
import { playButton } from "./wave.js";
import { number, plural, t } from "./words.js";

const LISTED = 40;
const AT_ONCE = 10;  // clips of a request
const COLUMNS = ["clip", "x", "y", "label", "predicted", "emotion", "source", "speaker", "cluster"];

/**
 * A panel about the chosen points; `labelling` gets true when all of them begin to be labelled,
 * and false when that has ended. It also ends with `signal`, when the page is left.
 */
export function selectionPanel(points, { clear, labelling, signal }) {
  return h("div.selection", {},
    h("h2", {}, t("{what} selected", { what: plural(points.length, "clip") })),
    spread(points),
    labelAll(points, labelling, signal),
    h("div.row", {},
      h("button", { type: "button", onclick: () => save(csv(points, COLUMNS), "selection.csv") }, t("Export CSV")),
      h("button", { type: "button", onclick: clear }, t("Clear"))),
    h("ol.rows", { "aria-label": t("Selected clips") }, points.slice(0, LISTED).map((one) =>
      h("li", {}, playButton(`clip-${one.clip}`, `/v1/clips/${one.clip}/audio`, t("clip {n}", { n: one.clip })),
        h("a", { href: `#/search?clip=${one.clip}` }, t("clip {n}", { n: one.clip })),
        one.label ? h("span.label", {}, dot(one.label), named(one.label)) : one.emotion && h("span", {}, dot(one.emotion), named(one.emotion))))),
    points.length > LISTED && h("p.hint", {}, t("and {n} more", { n: number(points.length - LISTED) })));
}

function spread(points) {
  const counts = new Map();
  for (const one of points) counts.set(one.emotion, (counts.get(one.emotion) ?? 0) + 1);
  const names = sorted([...counts.keys()].filter(Boolean));
  return names.length ? h("p.legend", {}, names.map((name) => h("span", {}, dot(name), named(name), h("b", {}, number(counts.get(name)))))) : null;
}

/** A form that gives the clips one label, some at a time; for `labelling` see `selectionPanel`. */
export function labelAll(points, labelling, signal) {
  const names = h("datalist", { id: "all-labels" });
  const status = h("p.hint", { role: "status" });
  labelsOf("emotion").then((found) => fill(names, found.map((value) => h("option", { value }))), (error) => fill(status, t("The labels in use are not known: {why}", { why: error.message })));
  const written = { required: true, pattern: ".*\\S.*", maxlength: 200, autocomplete: "off" };
  const task = h("input", { type: "text", ...written, value: "emotion", "aria-label": t("Task") });
  const value = h("input", { type: "text", ...written, placeholder: t("label"), "aria-label": t("Label for all"), list: "all-labels" });
  const button = h("button.primary", { type: "submit" }, t("Label all"));
  const bar = h("progress", { max: points.length, value: 0, hidden: true, "aria-label": t("Labelled") });
  let stopped = null;

  async function run(under, name) {
    stopped = new AbortController();
    task.disabled = value.disabled = true;
    button.textContent = t("Stop");
    bar.hidden = false;
    labelling(true);
    let [sent, failed] = [0, null];
    while (sent < points.length && !failed && !stopped.signal.aborted && !signal.aborted) {
      const some = points.slice(sent, sent + AT_ONCE);
      try {
        await send("/v1/labels", { method: "POST", json: { labels: some.map((one) => ({ clip: one.clip, task: under, value: name })) } });
        bar.value = sent += some.length;
        status.textContent = t("{done} of {all}", { done: number(sent), all: number(points.length) });
      } catch (error) {
        failed = error;
      }
    }
    changed();
    const text = t("{clips} labelled {label}", { clips: plural(sent, "clip"), label: name }) + (sent < points.length && !failed ? t(", then stopped") : "");
    if (failed) toast(t("{text}; {clips} not: {why}", { text, clips: plural(points.length - sent, "clip"), why: failed.message }), "error", failed.kind === "forbidden" ? replaceButton() : null);
    else toast(text);
    stopped = null;
    task.disabled = value.disabled = false;
    button.textContent = t("Label all");
    if (!signal.aborted) labelling(false, !failed);
  }
  return h("form.label-all", {
    onsubmit: (event) => {
      event.preventDefault();
      if (stopped) stopped.abort();
      else run(task.value.trim(), value.value.trim());
    },
  }, h("div.pair", {}, task, value), names, h("div.row", {}, button, status), bar);
}
