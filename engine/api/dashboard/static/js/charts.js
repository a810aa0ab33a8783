// Shares of emotions over time: a small chart for each, all of one scale, with intervals.

import { h } from "./dom.js";
import { colourName, dot, named, sorted } from "./emotions.js";
import { day, percent, t } from "./words.js";

const [WIDE, HIGH] = [300, 64];

/** The answer of `/v1/trends` as charts, and as a table. */
export function shareCharts({ data, min_confidence: least }) {
  const names = [...sorted(Object.keys(data[0].emotions)), null];  // null: uncertain
  const most = Math.max(0.05, ...data.flatMap((one) => names.map((name) => shareOf(one, name).high)));
  return [
    h("div.charts", {}, names.map((name) => chart(name, data, most))),
    h("p.hint", {}, t("Share of the time, with 95 % intervals; all to the same scale, up to {most}. Clips whose highest score is below {least} count as uncertain.", { most: percent(most), least: percent(least) })),
    h("details", {}, h("summary", {}, t("As a table")), table(data, names)),
  ];
}

const shareOf = (period, name) => (name === null ? period.uncertain : period.emotions[name]);
const title = (name) => (name === null ? t("uncertain") : named(name));

function chart(name, data, most) {
  const rows = data.map((one) => shareOf(one, name));
  const [first, last] = [Date.parse(data[0].start), Date.parse(data.at(-1).start)];
  const x = (place) => (last === first ? WIDE / 2 : 4 + ((Date.parse(data[place].start) - first) / (last - first)) * (WIDE - 8));
  const y = (share) => HIGH - 2 - (share / most) * (HIGH - 6);
  const path = (values) => values.map((share, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${y(share).toFixed(1)}`).join("");
  const back = rows.map((one, place) => `L${x(place).toFixed(1)} ${y(one.low).toFixed(1)}`).reverse().join("");
  const latest = rows.at(-1);
  const inWords = t("{emotion}: {share} in the last period, between {low} and {high}; {from} in the first", { emotion: title(name), share: percent(latest.share), low: percent(latest.low), high: percent(latest.high), from: percent(rows[0].share) });
  return h("figure.chart", { style: { "--c": name === null ? "var(--edge)" : `var(${colourName(name)})` } },
    h("figcaption", {}, name === null ? null : dot(name), title(name), h("b", {}, percent(latest.share)), h("small", {}, `${percent(latest.low)} – ${percent(latest.high)}`)),
    h("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": inWords },
      h("line.base", { x1: 0, x2: WIDE, y1: HIGH - 2, y2: HIGH - 2 }),
      h("path.between", { d: `${path(rows.map((one) => one.high))}${back}Z` }),
      h("path.share", { d: path(rows.map((one) => one.share)) }),
      rows.length === 1 && h("circle", { cx: x(0), cy: y(latest.share), r: 3 })),
    h("small.ends", { "aria-hidden": "true" }, h("span", {}, day(data[0].start, true)), h("span", {}, day(data.at(-1).start, true))));
}

function table(data, names) {
  return h("div.table", { tabindex: "0", role: "region", "aria-label": t("Shares by period") }, h("table", {},
    h("thead", {}, h("tr", {}, [t("Period"), t("recordings"), ...names.map(title)].map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", {}, data.map((one) => h("tr", {},
      h("th", { scope: "row" }, day(one.start)), h("td", {}, one.recordings),
      names.map((name) => { const { share, low, high } = shareOf(one, name); return h("td", { title: `${percent(low)} – ${percent(high)}` }, percent(share)); }))))));
}
