// The filters of a search. Each change is a new address.

import { remembered } from "./api.js";
import { h, fill, number, percent } from "./dom.js";
import { dot, plain, sorted } from "./emotions.js";

const MOST_SHOWN = 60;

/** The form of filters over `query`; `set(name, value)` is told of each change. */
export function filterPanel(query, set, { hits = true } = {}) {
  const count = Object.keys(query.filters).length;
  return h("div.filters", {},
    h("div.row.between", {}, h("h2", {}, "Filters", count ? h("span.count", {}, count) : null),
      count ? h("button.quiet", { type: "button", onclick: () => set(null) }, "Clear all") : null),
    choices("label", "Label", labels, query, set),
    choices("emotion", "Heard by the model", classes, query, set),
    query.filters.emotion && least(query, set),
    choices("source", "Source", sources, query, set),
    tokens("speaker", "Speaker", "emodb_08", query, set),
    tokens("channel", "Channel", "customer", query, set),
    tokens("metadata", "Metadata", "key=value", query, set, (text) => (/^[^=]+=/.test(text) ? null : "Write it as key=value.")),
    h("fieldset", {}, h("legend", {}, "Recorded"),
      h("div.pair", {}, input("after", "From", { type: "date" }, query, set), input("before", "Before", { type: "date" }, query, set))),
    h("fieldset", {}, h("legend", {}, "Length in seconds"),
      h("div.pair", {},
        input("min_duration", "Least", { type: "number", min: 0, step: "any", inputmode: "decimal" }, query, set),
        input("max_duration", "Most", { type: "number", min: 0, step: "any", inputmode: "decimal" }, query, set))),
    hits && h("fieldset", {}, h("legend", {}, "Hits"),
      h("div.pair", {},
        input("per_recording", "Per recording", { type: "number", min: 1, max: 1000, step: 1, placeholder: "any" }, query, set),
        choice("exclude_same", "Leave out", [["", "nothing"], ["recording", "same recording"], ["speaker", "same speaker"]], query, set))));
}

const labels = async () => (await remembered("/v1/labels?task=emotion")).data;
const sources = async () => Object.entries((await remembered("/v1/stats")).sources).map(([name, count]) => ({ name, count }));
const classes = async () => sorted((await remembered("/v1/stats")).classes).map((name) => ({ name }));

function choices(name, title, found, query, set) {
  const chosen = query.filters[name] ?? [];
  const box = h("div.choices", {});
  const group = h("fieldset", { hidden: !chosen.length }, h("legend", {}, title), box);
  found().catch(() => []).then((there) => {
    const rows = there.slice(0, MOST_SHOWN);
    for (const one of chosen) if (!rows.some((row) => row.name === one)) rows.push({ name: one });
    group.hidden = rows.length === 0;
    fill(box, rows.map((row) => {
      const check = h("input", {
        type: "checkbox", name, value: row.name, checked: chosen.includes(row.name),
        onchange: () => set(name, check.checked ? [...chosen, row.name] : chosen.filter((one) => one !== row.name)),
      });
      return h("label", {}, check, name === "source" ? null : dot(row.name), h("span", {}, plain(row.name)), row.count && h("small", {}, number(row.count)));
    }));
  });
  return group;
}

function least(query, set) {
  const now = query.filters.min_score ?? "0";
  const shown = h("output", {}, Number(now) ? percent(Number(now)) : "highest of all");
  const range = h("input", {
    type: "range", min: 0, max: 0.95, step: 0.05, value: now, name: "min_score",
    oninput: () => { shown.textContent = Number(range.value) ? percent(Number(range.value)) : "highest of all"; },
    onchange: () => set("min_score", Number(range.value) ? range.value : ""),
  });
  return h("label.field", {}, h("span", {}, "Least score: ", shown), range);
}

function input(name, title, props, query, set) {
  const field = h("input", { ...props, name, value: query.filters[name] ?? "", onchange: () => field.checkValidity() && set(name, field.value) });
  return h("label.field", {}, h("span", {}, title), field);
}

function choice(name, title, options, query, set) {
  const now = query.filters[name] ?? "";
  const field = h("select", { name, onchange: () => set(name, field.value) },
    options.map(([value, text]) => h("option", { value, selected: value === now }, text)));
  return h("label.field", {}, h("span", {}, title), field);
}

function tokens(name, title, example, query, set, wrong = () => null) {
  const chosen = query.filters[name] ?? [];
  const add = () => {
    const text = field.value.trim();
    field.setCustomValidity((text && wrong(text)) || "");
    if (text && field.reportValidity() && !chosen.includes(text)) set(name, [...chosen, text]);
  };
  const field = h("input", { type: "text", name, placeholder: example, autocomplete: "off", onchange: add, oninput: () => field.setCustomValidity("") });
  return h("label.field", {}, h("span", {}, title), field,
    chosen.length ? h("span.tokens", {}, chosen.map((one) =>
      h("button.token", { type: "button", "aria-label": `Remove ${title.toLowerCase()} ${one}`, onclick: (event) => { event.preventDefault(); set(name, chosen.filter((other) => other !== one)); } }, one, " ×"))) : null);
}
