// Alerts on the start page: rules that are kept, what set them off, a form for another.

import { read, send } from "./api.js";
import { fill, h, refill, toast } from "./dom.js";
import { dot, named, plain, sorted, UNCERTAIN } from "./emotions.js";
import { inWords } from "./filters.js";
import { missing, sayFailure } from "./problems.js";
import { sure } from "./sure.js";
import { day, moment, percent, t, translated } from "./words.js";

const WINDOWS = { recording: t("of a recording"), day: t("of a day"), week: t("of a week"), month: t("of a month") };
const MEASURES = { share: t("share of time"), level: t("mean score") };
const SIGNS = { ">": t("above"), "<": t("below") };
const STATES = { waiting: t("waits for recordings"), quiet: t("quiet"), raised: t("raised"), failed: t("cannot be checked") };
const LINKS = 5;

/** `{element, load()}`: the rules, and a form of classes and sources of `stats` that stays as it is filled in. */
export function alertDesk(stats, signal) {
  const list = h("div");
  const wrong = h("div");
  const options = (named) => Object.entries(named).map(([value, text]) => h("option", { value }, text));
  const sources = Object.keys(stats.sources).filter((one) => one !== "(none)");
  const parts = {
    name: h("input", { type: "text", required: true, pattern: ".*\\S.*", maxlength: 200, autocomplete: "off" }),
    emotion: h("select", {}, options({ ...Object.fromEntries(sorted(stats.classes).map((one) => [plain(one), named(one)])), uncertain: UNCERTAIN })),
    measure: h("select", {}, options(MEASURES)),
    sign: h("select", {}, options(SIGNS)),
    threshold: h("input", { type: "number", min: 0, max: 100, step: "any", value: 30, required: true }),
    window: h("select", {}, options(WINDOWS)),
    source: h("select", {}, h("option", { value: "" }, t("all sources")), sources.map((value) => h("option", { value }, value))),
  };
  const titles = { name: t("Name"), emotion: t("Emotion"), measure: t("Measure"), sign: t("Direction"), threshold: t("Per cent"), window: t("Of what"), source: t("Source") };
  const form = h("form.filters.panel", { onsubmit: keep }, Object.entries(parts).map(([name, field]) => h("label.field", {}, h("span", {}, titles[name]), field)),
    h("div.row", {}, h("button.primary", { type: "submit" }, t("Keep alert"))), wrong);

  async function keep(event) {
    event.preventDefault();
    const { name, emotion, measure, sign, threshold, window, source } = Object.fromEntries(Object.entries(parts).map(([key, { value }]) => [key, value]));
    try {
      const json = { name, rule: `${emotion}${sign}${threshold}%`, measure, window, ...(source && { source: [source] }) };
      await send("/v1/alerts", { method: "POST", json, signal });
      fill(wrong);
      parts.name.value = "";
      toast(t("Alert {name} is kept", { name }));
      load();
    } catch (error) {
      if (!signal.aborted) fill(wrong, missing(t("Not kept"), error));
    }
  }
  async function drop({ alert, name }) {
    if (!(await sure(t("Delete alert {name}?", { name }), [t("The rule and what raised it are forgotten. It cannot be undone.")], t("Delete")))) return;
    try {
      await send(`/v1/alerts/${alert}`, { method: "DELETE" });
      toast(t("Alert {name} is deleted", { name }));
      load();
    } catch (error) {
      sayFailure(error);
    }
  }
  async function load() {
    try {
      const { data } = await read("/v1/alerts", { signal });
      refill(list, [data.length ? h("ol.plain-list", {}, data.map((one) => line(one, drop))) : h("p.hint", {}, t("No alert is kept: one tells when an emotion takes more of the time than it should."))]);
    } catch (error) {
      if (!signal.aborted) fill(list, missing(t("Not read"), error));
    }
  }
  return { element: h("div.stack", {}, list, h("details.inline", {}, h("summary", {}, t("New alert")), form)), load };
}

function line(one, drop) {
  const [, emotion, sign, threshold] = /^(.*)([<>])(.*)$/.exec(one.rule);
  const about = [MEASURES[one.measure], WINDOWS[one.window], ...inWords(one.filters)];
  return h("li", { dataset: { alert: one.alert } },
    h("span.row.turn", {}, dot(emotion), h("b", {}, one.name), `${emotion === "uncertain" ? UNCERTAIN : named(emotion)} ${SIGNS[sign]} ${Number((100 * threshold).toPrecision(6))} %`),
    h("button.quiet", { type: "button", "aria-label": t("Delete alert {name}", { name: one.name }), onclick: () => drop(one) }, t("Delete")),
    h("small", {}, about.join(" · ")),
    h("small", {}, h("span.label", {}, STATES[one.state]), ` ${translated(one.problem ?? "")}`, one.fired_at && t(" last raised on {when} ", { when: moment(one.fired_at) }),
      one.firings.slice(0, LINKS).map((fired, place) => [place > 0 && t(", "), h("a", { href: placeOf(fired) }, fired.period ? day(fired.period.start) : t("Recording {n}", { n: fired.recording })), ` ${percent(fired.value)}`, ...extent(fired)])));
}

const extent = ({ low, high, uncertain }) => [low !== null && ` [${percent(low)}, ${percent(high)}]`, uncertain > 0 && t(" ({share} uncertain)", { share: percent(uncertain) })];
const placeOf = ({ recording, period }) => (period ? `#/recordings?after=${period.start}&before=${period.end}` : `#/recordings/${recording}`);
