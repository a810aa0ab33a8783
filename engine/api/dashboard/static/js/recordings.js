// All recordings: found by file name and filters, in order; chosen ones are exported or erased.

import { changed, readAll, send } from "./api.js";
import { fill, h, refill, toast } from "./dom.js";
import { dot, named } from "./emotions.js";
import { filterPanel } from "./filters.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, problemBox, sayFailure } from "./problems.js";
import { Query } from "./query.js";
import { csv, save } from "./save.js";
import { labelAll } from "./selection.js";
import { sure } from "./sure.js";
import { amount, day, number, plural, t } from "./words.js";

const PAGE = 50;
const ORDERS = { newest: t("newest first"), oldest: t("oldest first"), longest: t("longest first"), shortest: t("shortest first"), share: t("most of what is filtered first") };
const COLUMNS = ["recording", "file", "source", "speaker", "recorded_at", "duration", "channels", "clips", "labels", "sha256"];
const TYPING_MS = 250;

export function render(main, { params, signal }) {
  let asked = state(params);
  let [rows, total, turn] = [[], 0, new AbortController()];
  const chosen = new Map();  // by id

  const go = (now) => {
    clearTimeout(typing);
    const query = now.query.listing();
    if (now.text) query.set("text", now.text);
    if (now.order !== "newest") query.set("order", now.order);
    location.hash = `#/recordings${query.size ? `?${query}` : ""}`;
  };
  /** Go where this differs; what is typed counts at once. */
  const change = (what) => go({ ...asked, text: text.value.trim(), ...what });
  let typing = 0;
  const text = h("input", { type: "search", placeholder: t("part of a file's name"), maxlength: 200, autocomplete: "off", oninput: () => { clearTimeout(typing); typing = setTimeout(() => change({}), TYPING_MS); } });
  const order = h("select", { onchange: () => change({ order: order.value }) }, Object.entries(ORDERS).map(([name, words]) => h("option", { value: name }, words)));
  const filters = filterPanel((name, value) => change({ query: name === null ? new Query() : asked.query.withFilter(name, value) }), { hits: false });
  const count = h("span.count", { hidden: true });
  const list = h("div.stack", { "aria-busy": "false" });
  const bar = h("div.row.chosen", { role: "group", "aria-label": t("Selection"), hidden: true });
  const summary = h("p.hint", { role: "status" });
  const more = h("button", { type: "button", hidden: true, onclick: () => load(rows.length).catch(sayFailure) }, t("Show more"));

  fill(main, h("div.row.between", {}, h("h1", {}, t("Recordings")), h("a.button.primary", { href: "#/ingest" }, t("Add recordings"))),
    h("div.row.tools", {}, labelled(t("File name"), text), labelled(t("Order"), order)),
    h("details.inline", { open: asked.query.filtered }, h("summary", {}, t("Filters"), count), filters.element),
    h("div.row.between", {}, summary, bar), list, h("div.row.centre", {}, more));
  bind([]);

  async function load(skip = 0, limit = PAGE) {
    if (skip === 0) { turn.abort(); turn = new AbortController(); }
    const stopped = AbortSignal.any([turn.signal, signal]);
    list.setAttribute("aria-busy", "true");
    const query = asked.query.listing();
    for (const [name, value] of Object.entries({ file: asked.text, sort: asked.order })) query.set(name, value);
    const found = await readAll(`/v1/recordings?${query}`, { most: limit, cursor: skip, signal: stopped });
    rows = skip ? [...rows, ...found.rows] : found.rows;
    total = found.total;
    for (const one of rows) if (chosen.has(one.recording)) chosen.set(one.recording, one);
    tell();
    list.setAttribute("aria-busy", "false");
  }
  async function start() {
    text.value === asked.text || (text.value = asked.text);
    order.value = asked.order;
    filters.tell(asked.query);
    fill(count, Object.keys(asked.query.filters).length);
    count.hidden = !asked.query.filtered;
    try {
      await load();
    } catch (error) {
      if (error.name !== "AbortError") fill(list, problemBox(error, start));
    }
  }
  function tell() {
    fill(summary, plural(total, "recording"));
    more.hidden = rows.length >= total;
    refill(list, rows.length ? [table()] : [nothing()], text);
    choice();
  }
  const nothing = () => (asked.text || asked.query.filtered
    ? emptyBox(t("No recording is like that"), t("Change the file name or the filters."), h("button", { type: "button", onclick: () => go(state(new URLSearchParams())) }, t("Show all")))
    : emptyBox(t("The archive is empty"), t("Recordings stand here once they are added."), h("a.button", { href: "#/ingest" }, t("Add recordings"))));

  function table() {
    const all = h("input", { type: "checkbox", "aria-label": t("Select all that are shown"), onchange: () => { for (const one of rows) { if (all.checked) chosen.set(one.recording, one); else chosen.delete(one.recording); } tell(); } });
    all.checked = rows.every((one) => chosen.has(one.recording));
    all.indeterminate = !all.checked && rows.some((one) => chosen.has(one.recording));
    const heads = [t("File"), t("Recorded"), t("Length"), t("Source"), t("Speaker"), t("Clips"), t("Labels")];
    return h("div.panel.table", { tabindex: "0", role: "region", "aria-label": t("Recordings") }, h("table", {},
      h("thead", {}, h("tr", {}, h("td", {}, all), heads.map((one) => h("th", { scope: "col" }, one)))),
      h("tbody", {}, rows.map(line))));
  }
  function line(one) {
    const box = h("input", { type: "checkbox", "aria-label": t("Select {name}", { name: one.file }), checked: chosen.has(one.recording), onchange: () => { if (box.checked) chosen.set(one.recording, one); else chosen.delete(one.recording); tell(); } });
    return h("tr", { dataset: { recording: one.recording } },
      h("td", {}, box),
      h("td", {}, h("a", { href: `#/recordings/${one.recording}` }, one.file)),
      h("td.time", {}, one.recorded_at ? day(one.recorded_at) : "–"), h("td.time", {}, amount(one.duration)),
      h("td", {}, one.source ?? "–"), h("td", {}, one.speaker ?? "–"), h("td", {}, number(one.clips)),
      h("td", {}, h("span.row.labels-of", {}, Object.entries(one.labels.emotion ?? {}).slice(0, 3).map(([name, many]) => h("span.label", {}, dot(name), named(name), one.clips > 1 && h("small", {}, number(many)))))));
  }
  function choice() {
    bar.hidden = chosen.size === 0;
    refill(bar, [
      h("b", {}, t("{n} selected", { n: number(chosen.size) })),
      h("button", { type: "button", onclick: () => save(csv([...chosen.values()].map(flat), COLUMNS), "recordings.csv") }, t("Export CSV")),
      h("button", { type: "button", onclick: () => relabel([...chosen.values()]) }, t("Label…")),
      h("button.danger", { type: "button", onclick: () => erase([...chosen.values()]) }, t("Erase…")),
      h("button.quiet", { type: "button", onclick: () => { chosen.clear(); tell(); } }, t("Clear")),
    ], text);
  }
  const flat = (one) => ({ ...one, labels: Object.entries(one.labels).flatMap(([task, values]) => Object.entries(values).map(([value, many]) => `${task}=${value}:${many}`)).join(" ") });

  /** A dialog that gives all clips of these recordings one label. */
  async function relabel(some) {
    const points = [];
    try {
      for (const { recording } of some) points.push(...(await readAll(`/v1/recordings/${recording}/clips`, { most: Infinity, signal })).rows);
    } catch (error) {
      sayFailure(error);
      return;
    }
    const leaving = new AbortController();
    const dialog = h("dialog", { "aria-labelledby": "label-title", onclose: () => { leaving.abort(); dialog.remove(); if (!signal.aborted) start(); } },
      h("h2", { id: "label-title" }, t("Label {clips} of {recordings}", { clips: plural(points.length, "clip"), recordings: plural(some.length, "recording") })),
      labelAll(points, (begun, done) => begun || !done || dialog.close(), AbortSignal.any([leaving.signal, signal])),
      h("div.row.end", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("Close"))));
    document.body.append(dialog);
    dialog.showModal();
  }
  async function erase(some) {
    if (!(await sureOf(some))) return;
    let done = 0;
    try {
      for (const { recording } of some) {
        await send(`/v1/recordings/${recording}`, { method: "DELETE" });
        chosen.delete(recording);
        done++;
      }
    } catch (error) {
      sayFailure(error);
    }
    if (done) toast(t("Erased: {what}", { what: plural(done, "recording") }));
    changed();
    if (!signal.aborted) start();
  }

  start();
  document.addEventListener("archivechange", () => load(0, Math.max(PAGE, rows.length)).catch(() => {}), { signal });
  return { update: (now) => { asked = state(now); start(); } };
}

const state = (params) => ({
  query: new Query(params),
  text: params.get("text") ?? "",
  order: params.get("order") in ORDERS ? params.get("order") : "newest",
});

const labelled = (title, field) => h("label.field", {}, h("span", {}, title), field);

/** Ask whether these are to be erased. */
function sureOf(some) {
  const named = some.slice(0, 5).map((one) => one.file).join(", ");
  const rest = some.length > 5 ? ` ${t("and {n} more", { n: number(some.length - 5) })}` : "";
  return sure(t("Erase {what}?", { what: plural(some.length, "recording") }), [named + rest,
    t("This erases them for good: clips, embeddings, labels, and the audio that was uploaded. It cannot be undone. Files that came from a folder stay there.")], t("Erase"));
}
