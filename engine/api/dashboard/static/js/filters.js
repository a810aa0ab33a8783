// The filters of a search. Each change is a new address; the panel itself stays, so that nothing
// that is being typed or stepped through is lost.

import { remembered } from "./api.js";
import { h, fill, refill } from "./dom.js";
import { dot, named, sorted } from "./emotions.js";
import { missing } from "./problems.js";
import { day, number, percent, t } from "./words.js";

const MOST_SHOWN = 60;
const TITLES = {
  label: t("Label"), emotion: t("Heard by the model"), source: t("Source"), speaker: t("Speaker"), channel: t("Channel"), metadata: t("Metadata"),
  after: t("From"), before: t("Before"), min_score: t("Least score"), min_duration: t("Least seconds"), max_duration: t("Most seconds"),
  task: t("Task"), predicted: t("Predicted"), min_probability: t("Least probability"), cluster: t("Cluster"),
  min_arousal: t("Least arousal"), max_arousal: t("Most arousal"), min_valence: t("Least valence"), max_valence: t("Most valence"),
};

/** Filters as the pages call them, such as "Source: desk", of their names and values in the API. */
export function inWords(filters) {
  const how = { label: named, emotion: named, after: day, before: day, min_score: percent, min_probability: percent };
  return Object.keys(TITLES).filter((name) => name in filters).map((name) =>
    t("{name}: {value}", { name: TITLES[name], value: [filters[name]].flat().map(how[name] ?? String).join(t(", ")) }));
}

/**
 * The form of filters: its element, and `tell(query)`, which shows those of a query.
 * `set(name, value)` is told of each change, `set(null)` that all are to go.
 */
export function filterPanel(set, { hits = true } = {}) {
  const count = h("span.count", { hidden: true });
  const clear = h("button.quiet", { type: "button", hidden: true, onclick: () => { heading.focus(); set(null); } }, t("Clear all"));
  const heading = h("h2", { tabindex: "-1" }, t("Filters"), count);
  const parts = [
    choices("label", TITLES.label, labels, set, named),
    choices("emotion", TITLES.emotion, classes, set, named),
    least(set),
    choices("source", TITLES.source, sources, set),
    tokens("speaker", TITLES.speaker, "emodb_08", set),
    tokens("channel", TITLES.channel, "customer", set),
    tokens("metadata", TITLES.metadata, "key=value", set, (text) => (/^[^=]+=/.test(text) ? null : t("Write it as key=value."))),
  ];
  const recorded = [date("after", TITLES.after, set), date("before", TITLES.before, set)];
  const length = [figure("min_duration", t("Least"), { min: 0, step: "any", inputmode: "decimal" }, set), figure("max_duration", t("Most"), { min: 0, step: "any", inputmode: "decimal" }, set)];
  const most = hits ? [
    figure("per_recording", t("Per recording"), { min: 0, max: 1000, step: 1, placeholder: "1", title: t("Most hits of one recording; 0: all") }, set, t("0: all")),
    choice("exclude_same", t("Leave out"), [["", t("nothing")], ["recording", t("same recording")], ["speaker", t("same speaker")]], set),
  ] : [];
  const pair = (title, pairs) => h("fieldset", {}, h("legend", {}, title), h("div.pair", {}, pairs.map((one) => one.element)));
  const element = h("div.filters", {},
    h("div.row.between", {}, heading, clear),
    parts.map((one) => one.element),
    pair(t("Recorded"), recorded), pair(t("Length in seconds"), length), hits && pair(t("Hits"), most));
  return {
    element,
    tell(query) {
      const chosen = Object.keys(query.filters).length;
      fill(count, chosen);
      count.hidden = clear.hidden = chosen === 0;
      for (const one of [...parts, ...recorded, ...length, ...most]) one.tell(query);
    },
  };
}

const labels = async () => (await remembered("/v1/labels?task=emotion")).data;
const sources = async () => Object.entries((await remembered("/v1/stats")).sources).map(([name, count]) => ({ name, count }));
const classes = async () => sorted((await remembered("/v1/stats")).classes).map((name) => ({ name }));

/** Boxes to check, one for each value that the archive has; the less frequent ones on demand. */
function choices(name, title, found, set, called = (value) => value) {
  let [chosen, shown, turn, most] = [[], "", 0, MOST_SHOWN];
  const box = h("div.choices", {});
  const rest = h("button.quiet", { type: "button", hidden: true, onclick: async () => { most = Infinity; await read(); box.querySelectorAll("input")[MOST_SHOWN]?.focus(); } });
  const group = h("fieldset", { hidden: true }, h("legend", {}, title), box, rest);

  async function read() {
    const now = ++turn;
    let there;
    try {
      there = await found();
    } catch (error) {
      if (now === turn) { shown = ""; group.hidden = false; fill(box, missing(t("Not read"), error)); }
      return;
    }
    if (now !== turn) return;
    const rows = there.slice(0, most);
    for (const one of chosen) if (!rows.some((row) => row.name === one)) rows.push(there.find((row) => row.name === one) ?? { name: one });
    group.hidden = rows.length === 0;
    rest.hidden = there.length <= most;
    rest.textContent = t("All {n}", { n: number(there.length) });
    if (shown !== JSON.stringify(rows)) {
      shown = JSON.stringify(rows);
      refill(box, rows.map(boxOf));
    }
    for (const check of box.querySelectorAll("input")) check.checked = chosen.includes(check.value);
  }
  function boxOf(row) {
    const check = h("input", {
      type: "checkbox", name, value: row.name,
      onchange: () => set(name, check.checked ? [...chosen, row.name] : chosen.filter((one) => one !== row.name)),
    });
    return h("label", {}, check, name === "source" ? null : dot(row.name), h("span", {}, called(row.name)), row.count && h("small", {}, number(row.count)));
  }
  return { element: group, tell: (query) => { chosen = query.filters[name] ?? []; read(); } };
}

function least(set) {
  const shown = h("span", {});
  const range = h("input", { type: "range", min: 0, max: 0.95, step: 0.05, name: "min_score", oninput: say, onchange: () => set("min_score", Number(range.value) ? range.value : "") });
  const element = h("label.field", { hidden: true }, h("span", {}, t("Least score: "), shown), range);
  function say() { shown.textContent = Number(range.value) ? percent(Number(range.value)) : t("highest of all"); }
  return {
    element,
    tell: (query) => {
      element.hidden = !query.filters.emotion;
      if (Number(range.value) !== Number(query.filters.min_score ?? 0)) range.value = query.filters.min_score ?? 0;
      say();
    },
  };
}

// What a field says is put into it only where it says something else: what is half typed stays.
function telling(name, field, rest = {}) {
  const tell = (query) => { if (field.value !== (query.filters[name] ?? "")) field.value = query.filters[name] ?? ""; };
  return { field, tell, ...rest };
}

function figure(name, title, props, set, hint = null) {
  const field = h("input", { type: "number", ...props, name, onchange: () => field.checkValidity() && set(name, field.value) });
  return telling(name, field, { element: h("label.field", {}, h("span", {}, title), field, hint && h("small", {}, hint)) });
}

/** A date: while it is typed each digit of the year makes another one, so it counts once that ends. */
function date(name, title, set) {
  let [typing, now] = [false, ""];
  const commit = () => { typing = false; if (field.checkValidity() && field.value !== now) set(name, field.value); };
  const field = h("input", {
    type: "date", name,
    onkeydown: (event) => { if (event.key === "Enter") commit(); else typing = event.key !== "Tab" || typing; },
    onblur: commit,
    onchange: () => { if (!typing) commit(); },  // picked from the calendar
  });
  const { tell } = telling(name, field);
  return { element: h("label.field", {}, h("span", {}, title), field), tell: (query) => { now = query.filters[name] ?? ""; if (!typing) tell(query); } };
}

function choice(name, title, options, set) {
  const field = h("select", { name, onchange: () => set(name, field.value) }, options.map(([value, text]) => h("option", { value }, text)));
  return telling(name, field, { element: h("label.field", {}, h("span", {}, title), field) });
}

/** Values that are written, one after the other. */
function tokens(name, title, example, set, wrong = () => null) {
  let chosen = [];
  const add = () => {
    const text = field.value.trim();
    field.setCustomValidity((text && wrong(text)) || "");
    if (!text || !field.reportValidity()) return;
    field.value = "";
    if (!chosen.includes(text)) set(name, [...chosen, text]);
  };
  const field = h("input", { type: "text", name, placeholder: example, autocomplete: "off", onchange: add, oninput: () => field.setCustomValidity("") });
  const there = h("span.tokens", { hidden: true });
  return {
    element: h("div", {}, h("label.field", {}, h("span", {}, title), field), there),
    tell: (query) => {
      chosen = query.filters[name] ?? [];
      there.hidden = !chosen.length;
      refill(there, chosen.map((one) => h("button.token", { type: "button", "aria-label": t("Remove {name}", { name: one }), onclick: () => set(name, chosen.filter((other) => other !== one)) }, one, " ×")), field);
    },
  };
}
