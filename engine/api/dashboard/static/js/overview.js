// The start page: what the archive holds, how its emotions move over time, which recordings turned
// most, and how the service is.

import { alertDesk } from "./alerts.js";
import { read } from "./api.js";
import { bars } from "./bars.js";
import { shareCharts } from "./charts.js";
import { clock, fill, h, refill } from "./dom.js";
import { dot, named, scoreless } from "./emotions.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, missing, problemBox } from "./problems.js";
import { webhookDesk } from "./webhooks.js";
import { amount, day, number, percent, plural, t } from "./words.js";

const PERIODS = { day: t("days"), week: t("weeks"), month: t("months") };
const CHECKED_MS = 6000;  // after which alerts have been checked with it

export function render(main, { params, signal }) {
  let asked = chosen(params);
  const title = h("h1", {}, t("Overview"));
  const [counts, choice, shares, watched, turned, angriest, labelled, state] = ["div", "div.row", "div.stack", "div", "div", "div", "div", "div"].map((one) => h(one));
  let alerts = null;
  const section = (name, ...inside) => h("section.panel.stack", { "aria-label": name }, inside);
  const whole = [
    counts,
    section(t("Emotions over time"), h("div.row.between", {}, h("h2", {}, t("Emotions over time")), choice), shares),
    section(t("Alerts"), h("h2", {}, t("Alerts")), watched, webhookDesk(signal)),
    h("div.halves", {}, section(t("Turned most"), h("h2", {}, t("Turned most")), turned), section(t("Angriest"), h("h2", {}, t("Angriest")), angriest),
      h("div.stack", {}, section(t("Labels"), h("h2", {}, t("Labels")), labelled), section(t("State"), h("h2", {}, t("State")), state))),
  ];
  fill(main, title, busyBox(t("Reading…")));

  /** Show what is there; what is shown already stays until the news of it are read. */
  async function load() {
    try {
      const stats = await read("/v1/stats", { signal });
      if (!stats.recordings) { fill(main, title, first()); return; }
      if (!counts.isConnected) fill(main, title, whole);
      fill(counts, figures(stats));
      refill(choice, choosers(Object.keys(stats.sources).filter((name) => name !== "(none)")));
      refill(labelled, [labels(stats)]);
      const turns = stats.classes.length && read("/dashboard/turns", { signal });
      for (const [place, show] of [[turned, turnedMost], [angriest, angriestFirst]]) {
        if (turns) part(place, turns, show, t("Not read"));
        else fill(place, scoreless());
      }
      if (stats.classes.length && !alerts) fill(watched, (alerts = alertDesk(stats, signal)).element);
      if (alerts) alerts.load();
      else fill(watched, scoreless());
      part(state, health(signal), (found) => stateOf(stats, found), t("Not read"));
      over();
    } catch (error) {
      if (!signal.aborted) fill(main, title, problemBox(error, load));
    }
  }
  function over() {
    const query = new URLSearchParams({ by: asked.by, ...(asked.source && { source: asked.source }) });
    part(shares, read(`/v1/trends?${query}`, { signal }), overTime, t("No trend"));
  }
  /** Fill a part of the page with what is read, unless it is read anew meanwhile. */
  async function part(place, reading, show, failed) {
    place.reading = reading;
    if (!place.children.length) fill(place, busyBox(t("Reading…")));
    try {
      const found = await reading;
      if (place.reading === reading) refill(place, [show(found)]);
    } catch (error) {
      if (place.reading === reading && !signal.aborted) fill(place, missing(failed, error));
    }
  }
  const choosers = (sources) => [
    chooser(t("Source"), [["", t("all sources")], ...sources.map((name) => [name, name])], asked.source, (source) => go({ ...asked, source })),
    chooser(t("By"), Object.entries(PERIODS), asked.by, (by) => go({ ...asked, by }))];
  const go = (changed) => {
    const query = new URLSearchParams({ ...(changed.by !== "week" && { by: changed.by }), ...(changed.source && { source: changed.source }) });
    location.hash = `#/${query.size ? `?${query}` : ""}`;
  };
  let checked = 0;
  document.addEventListener("archivechange", () => {
    load();
    clearTimeout(checked);
    checked = setTimeout(() => alerts?.load(), CHECKED_MS);
  }, { signal });
  signal.addEventListener("abort", () => clearTimeout(checked));
  bind([]);
  load();
  return { update: (changed) => { asked = chosen(changed); load(); } };
}

const overTime = (found) => [
  found.data.length ? shareCharts(found) : emptyBox(t("No date is known"), t("Emotions are shown over time once recordings say when they were made: in the form that adds them, or in a manifest.")),
  found.data.length > 0 && found.undated > 0 && h("p.hint", {}, t("Left out, as it is not known when they were recorded: {clips}.", { clips: plural(found.undated, "clip") })),
];

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

/** Recordings with the greatest turn, each with a link to its place. */
const turnedMost = ({ data, of }) => places(data.map((one) => {
  const { time, rises, rise } = one.turn;
  return place(one, time, rises, t("{emotion} +{rise} at {time}", { emotion: named(rises), rise: percent(rise), time: clock(time) }));
}), of, t("No recording turned: their emotions stay about the same."));

/** Recordings with the angriest stretch, each with a link to it. */
const angriestFirst = ({ angriest, of }) => places(angriest.map((one) => {
  const { start, end, emotion, scores } = one.stretch;
  return place(one, start, emotion, t("{emotion} {share}, {start} to {end}", { emotion: named(emotion), share: percent(scores[emotion]), start: clock(start), end: clock(end) }));
}), of, t("In no recording anger is on top."));

const places = (found, of, none) => (found.length
  ? [h("ol.plain-list", {}, found), h("p.hint", {}, t("Of the latest {n}.", { n: plural(of, "recording") }))]
  : h("p.hint", {}, none));

const place = ({ recording, file, channel_name: who, source, recorded_at: when }, time, emotion, text) => h("li", {},
  h("a", { href: `#/recordings/${recording}?at=${time.toFixed(1)}` }, file),
  h("span.row.turn", {}, dot(emotion), text),
  h("small", {}, [who, source, when && day(when)].filter(Boolean).join(" · ")));

function labels(stats) {
  const found = Object.entries(stats.labels).slice(0, 10);
  const most = Math.max(...found.map(([, count]) => count), 1);
  return found.length ? bars(found.map(([name, count]) => ({ name, share: count / most, figure: number(count), title: t("Find these clips"), press: () => { location.hash = `#/search?label=${encodeURIComponent(name)}`; } })), t("Labels"))
    : h("p.hint", {}, t("Nobody has labelled a clip yet."), " ", h("a", { href: "#/label" }, t("Label some")));
}

/** How many uploads are on their way, and whether the index is ready, or why not. */
async function health(signal) {
  const [jobs, index] = await Promise.allSettled([
    read("/v1/jobs?status=queued&status=running&kind=upload&limit=500", { signal }), read("/readyz", { signal })]);
  return { jobs: jobs.value?.data.length ?? jobs.reason.message, index: index.reason?.message ?? t("ready") };
}

/** Failures, jobs, model, space and index. */
function stateOf(stats, { jobs, index }) {
  const row = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const adding = (text) => h("a", { href: "#/ingest" }, text);
  return h("dl.state-of", {},
    row(t("On their way"), jobs ? adding(typeof jobs === "number" ? plural(jobs, "file") : jobs) : t("none")),
    row(t("Failed files"), stats.failures ? adding(number(stats.failures)) : t("none")),
    row(t("Index"), index),
    row(t("Model"), stats.model ?? t("none")),
    row(t("Similarity space"), t("version {n}", { n: stats.space })),
    row(t("Scores adapted to"), { mean: t("the archive's mean"), baselines: t("baselines of speakers, recordings and sources") }[stats.adapted] ?? t("nothing")),
    row(t("Least confidence"), percent(stats.min_confidence)));
}
