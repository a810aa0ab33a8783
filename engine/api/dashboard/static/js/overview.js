// The start page: what the archive holds, how its emotions move over time, which recordings turned
// most, and how the service is.

import { read } from "./api.js";
import { bars } from "./bars.js";
import { shareCharts } from "./charts.js";
import { fill, h, clock } from "./dom.js";
import { dot, named } from "./emotions.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, missing, problemBox } from "./problems.js";
import { amount, day, number, percent, plural, t } from "./words.js";

const PERIODS = { day: t("days"), week: t("weeks"), month: t("months") };

export function render(main, { params, signal }) {
  let asked = chosen(params);
  fill(main, h("h1", {}, t("Overview")), busyBox(t("Reading…")));
  const trend = h("section.panel.stack", { "aria-label": t("Emotions over time") });
  let sources = [];

  async function load() {
    try {
      const stats = await read("/v1/stats", { signal });
      sources = Object.entries(stats.sources).filter(([name]) => name !== "(none)");
      fill(main, h("h1", {}, t("Overview")), stats.recordings ? [figures(stats), trend, h("div.halves", {}, turned(signal), labels(stats), health(stats, signal))] : first());
      if (stats.recordings) over();
    } catch (error) {
      if (!signal.aborted) fill(main, h("h1", {}, t("Overview")), problemBox(error, load));
    }
  }
  async function over() {
    const now = asked;
    const body = h("div.stack", {}, busyBox(t("Reading…")));
    fill(trend, h("div.row.between", {}, h("h2", {}, t("Emotions over time")), h("div.row", {},
      chooser(t("Source"), [["", t("all sources")], ...sources.map(([name]) => [name, name])], now.source, (source) => go({ ...asked, source })),
      chooser(t("By"), Object.entries(PERIODS).map(([name, text]) => [name, text]), now.by, (by) => go({ ...asked, by })))), body);
    const query = new URLSearchParams({ by: now.by, ...(now.source && { source: now.source }) });
    try {
      const found = await read(`/v1/trends?${query}`, { signal });
      if (now === asked) fill(body, over_(found));
    } catch (error) {
      if (!signal.aborted && now === asked) fill(body, missing(t("No trend"), error));
    }
  }
  const over_ = (found) => [
    found.data.length ? shareCharts(found) : emptyBox(t("No date is known"), t("Emotions are shown over time once recordings say when they were made: in the form that adds them, or in a manifest.")),
    found.data.length > 0 && found.undated > 0 && h("p.hint", {}, t("Left out, as it is not known when they were recorded: {clips}.", { clips: plural(found.undated, "clip") })),
  ];
  const go = (changed) => {
    const query = new URLSearchParams({ ...(changed.by !== "week" && { by: changed.by }), ...(changed.source && { source: changed.source }) });
    location.hash = `#/${query.size ? `?${query}` : ""}`;
  };
  bind([]);
  load();
  return { update: (changed) => { asked = chosen(changed); over(); } };
}

const chosen = (params) => ({ by: params.get("by") in PERIODS ? params.get("by") : "week", source: params.get("source") ?? "" });

/** What an empty archive says. */
const first = () => emptyBox(t("The archive is empty"),
  t("Add recordings, and this page shows how their emotions move over time, who turned angry, and what failed."),
  h("a.button.primary", { href: "#/ingest" }, t("Add the first recordings")),
  h("a.button", { href: "#/analyse" }, t("Analyse one clip")));

function figures(stats) {
  const found = [
    [t("recordings"), number(stats.recordings)], [t("of sound"), amount(stats.duration)], [t("clips"), number(stats.clips)],
    [t("labelled"), percent(stats.labelled / Math.max(1, stats.clips))]];
  return h("dl.panel.figures", {}, found.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function chooser(title, options, now, set) {
  return h("label.row.choice", {}, h("span", {}, title), h("select", { onchange: (event) => set(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === now }, text))));
}

/** Recordings with the greatest turn, the place in each to be heard from. */
function turned(signal) {
  const body = h("div", {}, busyBox(t("Reading…")));
  read("/dashboard/turns", { signal }).then(
    ({ data, of }) => fill(body, data.length ? [h("ol.plain-list", {}, data.map(turn)), h("p.hint", {}, t("Of the latest {n}.", { n: plural(of, "recording") }))]
      : h("p.hint", {}, t("No recording turned: their emotions stay about the same."))),
    (error) => { if (!signal.aborted) fill(body, missing(t("Not read"), error)); });
  return h("section.panel.stack", {}, h("h2", {}, t("Turned most")), body);
}

const turn = ({ recording, file, turn: { time, rises, rise }, channel_name: who, source, recorded_at: when }) => h("li", {},
  h("a", { href: `#/recordings/${recording}?at=${time.toFixed(1)}` }, file),
  h("span.row.told", {}, dot(rises), t("{emotion} +{rise} at {time}", { emotion: named(rises), rise: percent(rise), time: clock(time) })),
  h("small", {}, [who, source, when && day(when)].filter(Boolean).join(" · ")));

function labels(stats) {
  const found = Object.entries(stats.labels).slice(0, 10);
  const most = Math.max(...found.map(([, count]) => count), 1);
  return h("section.panel.stack", {}, h("h2", {}, t("Labels")),
    found.length ? bars(found.map(([name, count]) => ({ name, share: count / most, figure: number(count), title: t("Find these clips"), press: () => { location.hash = `#/search?label=${encodeURIComponent(name)}`; } })), t("Labels"))
      : h("p.hint", {}, t("Nobody has labelled a clip yet."), " ", h("a", { href: "#/label" }, t("Label some"))));
}

/** Failures, jobs, model, space and index. */
function health(stats, signal) {
  const jobs = h("dd", {}, "…");
  const index = h("dd", {}, "…");
  read("/v1/jobs?status=queued&status=running&limit=500", { signal }).then(
    ({ data }) => fill(jobs, data.length ? h("a", { href: "#/ingest" }, plural(data.length, "file")) : t("none")),
    (error) => { if (!signal.aborted) fill(jobs, error.message); });
  read("/readyz", { signal }).then(() => fill(index, t("ready")), (error) => { if (!signal.aborted) fill(index, error.message); });
  const row = (name, value) => h("div", {}, h("dt", {}, name), value instanceof Element ? value : h("dd", {}, value));
  return h("section.panel.stack", {}, h("h2", {}, t("State")), h("dl.state-of", {},
    row(t("On their way"), jobs),
    row(t("Failed files"), stats.failures ? h("dd", {}, h("a", { href: "#/ingest" }, number(stats.failures))) : t("none")),
    row(t("Index"), index),
    row(t("Model"), stats.model ?? t("none")),
    row(t("Similarity space"), t("version {n}", { n: stats.space })),
    row(t("Scores adapted to"), { mean: t("the archive's mean"), baselines: t("baselines of speakers, recordings and sources") }[stats.adapted] ?? t("nothing")),
    row(t("Least confidence"), percent(stats.min_confidence))));
}
