// The map of the archive: clips that sound alike lie near each other.

import { at, read, remembered } from "./api.js";
import { player } from "./audio.js";
import { card } from "./card.js";
import { fill, h, refill, token } from "./dom.js";
import { colour, named, sorted, symbol } from "./emotions.js";
import { filterPanel } from "./filters.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, missing, problemBox, sayFailure } from "./problems.js";
import { Query } from "./query.js";
import { selectionPanel } from "./selection.js";
import { number, percent, plural, t } from "./words.js";

const COLOURS = { emotion: t("emotion heard"), label: t("label"), source: t("source"), predicted: t("prediction"), cluster: t("cluster"), speaker: t("speaker") };
const METHODS = { pca: t("overall (PCA)"), umap: t("neighbours (UMAP)") };
const LIMITS = [1000, 2000, 5000, 20000];
const MOST_GROUPS = 12;
const HOVER_MS = 120;  // over a point, before it is heard: a hand on its way somewhere plays nothing
const NONE = "(none)";

export function render(main, { params, signal }) {
  let asked = state(params);
  let turn = new AbortController();
  let [points, picked, ready, labelling, hovering, clusterings] = [[], new Set(), false, false, 0, []];

  const frame = h("iframe", { src: at("/assets/map/frame.html"), sandbox: "allow-scripts", title: t("Map of clips; the panel beside it does the same by keyboard"), tabindex: "-1" });
  const note = h("p.hint", { role: "status" });
  const cover = h("div.cover", {}, busyBox(t("Placing the clips…")));
  const panel = h("aside.picked", { "aria-live": "polite", "aria-label": t("Selection") });
  const sounds = h("input", { type: "checkbox" });
  const colours = chooser(t("Colour by"), (value) => go({ ...asked, colour: value }));
  const layouts = chooser(t("Layout"), (value) => go({ ...asked, method: value }));
  const sizes = chooser(t("Clips"), (value) => go({ ...asked, limit: Number(value) }));
  const clusters = chooser(t("Clusters of"), (value) => go({ ...asked, clustering: value, colour: value ? "cluster" : asked.colour === "cluster" ? "emotion" : asked.colour }));
  const filters = filterPanel((name, value) => go({ ...asked, query: name === null ? new Query() : asked.query.withFilter(name, value) }), { hits: false });
  const count = h("span.count", { hidden: true });
  const unread = h("div", {});

  fill(main, h("h1", {}, t("Map of the archive")),
    h("div.row.tools", {}, colours.element, layouts.element, sizes.element, clusters.element, h("label.check", {}, sounds, t("Play on hover"))), unread,
    h("details.inline", { open: asked.query.filtered }, h("summary", {}, t("Filters"), count), filters.element),
    h("div.map", {}, h("div.plot", {}, frame, cover), panel), note);
  bind([{ keys: ["Escape"], shown: ["Esc"], does: t("clear the selection"), run: () => choose([]) }]);

  const go = (changed) => {
    const params = new URLSearchParams(changed.query.listing());
    if (changed.colour !== "emotion") params.set("colour", changed.colour);
    if (changed.method !== "pca") params.set("method", changed.method);
    if (changed.limit !== 2000) params.set("points", changed.limit);
    if (changed.clustering) params.set("clustering", changed.clustering);
    location.hash = `#/map${params.size ? `?${params}` : ""}`;
  };

  function controls() {
    const there = Object.keys(COLOURS).filter((name) => ["emotion", "label", "source", asked.colour].includes(name) || points.some((one) => one[name] !== null && one[name] !== undefined));
    colours.tell(there.map((name) => [name, COLOURS[name]]), asked.colour);
    layouts.tell(Object.entries(METHODS), asked.method);
    sizes.tell(LIMITS.map((one) => [one, t("up to {n}", { n: number(one) })]), asked.limit);
    const names = clusterings.map((one) => one.name);
    if (asked.clustering && !names.includes(asked.clustering)) names.push(asked.clustering);
    clusters.element.hidden = !names.length;
    clusters.tell([["", t("none")], ...names.map((name) => [name, name])], asked.clustering);
    fill(count, Object.keys(asked.query.filters).length);
    count.hidden = !asked.query.filtered;
    filters.tell(asked.query);
  }

  async function load() {
    turn.abort();
    turn = new AbortController();
    const stopped = turn.signal;
    cover.hidden = false;
    fill(cover, busyBox(asked.method === "umap" ? t("Placing the clips; this can take a minute…") : t("Placing the clips…")));
    const params = asked.query.listing();
    params.set("limit", asked.limit);
    params.set("method", asked.method);
    if (asked.clustering) params.set("clustering", asked.clustering);
    try {
      const map = await read(`/v1/map?${params}`, { signal: stopped });
      points = map.points;
      picked = new Set([...picked].filter((clip) => points.some((one) => one.clip === clip)));
      controls();
      fill(note, summary(map));
      if (points.length) draw();
      else fill(cover, emptyBox(t("No clips to place"), t("No clip passes the filters, or the archive has fewer than three.")));
      tell();
    } catch (error) {
      if (stopped.aborted) return;
      fill(cover, error.kind === "no-such-route"
        ? emptyBox(t("This server makes no maps"), t("Its version has no /v1/map; searching works all the same."), h("a.button", { href: "#/" }, t("To the search")))
        : problemBox(error, load));
    }
  }

  function draw() {
    if (!ready || !points.length) return;
    frame.contentWindow.postMessage({
      type: "draw",
      groups: groups(points, asked.colour).map((group) => ({
        name: group.name,
        colour: group.colour,
        symbol: group.symbol,
        x: group.points.map((one) => one.x),
        y: group.points.map((one) => one.y),
        clips: group.points.map((one) => one.clip),
        texts: group.points.map((one) => [t("clip {n}", { n: one.clip }), one.emotion && t("heard: {emotion}", { emotion: named(one.emotion) }), one.label && t("label: {label}", { label: named(one.label) }), one.source].filter(Boolean).join(" · ")),
        selected: picked.size ? group.points.flatMap((one, place) => (picked.has(one.clip) ? [place] : [])) : null,
      })),
      theme: {
        ink: token("--ink"), soft: token("--soft"), line: token("--line"), paper: token("--paper"), accent: token("--accent"),
        size: points.length > 5000 ? 5 : points.length > 1000 ? 7 : 9,
        mode: matchMedia("(pointer: coarse)").matches ? "pan" : "lasso",
        place: `${asked.method}-${points.length}`,
      },
    }, "*");
  }

  function choose(clips, redraw = true) {
    if (labelling) return;  // these are being labelled, by the panel that tells how far that is
    picked = new Set(clips);
    tell();
    if (redraw) draw();
  }

  function tell() {
    if (labelling) return;
    const chosen = points.filter((one) => picked.has(one.clip));
    refill(panel, [
      legend(),
      chosen.length === 1 ? single(chosen[0].clip) : chosen.length ? selectionPanel(chosen, { clear: () => choose([]), labelling: (begun) => { labelling = begun; if (!begun) load(); }, signal }) : h("p.hint", {}, t("Click a point to hear its clip; circle some to label or export them. Or take a whole group above.")),
    ]);
  }

  function legend() {
    return h("div.groups", { role: "group", "aria-label": t("Groups by {what}", { what: COLOURS[asked.colour] }) }, groups(points, asked.colour).map((group) =>
      h("button.quiet", { type: "button", title: t("Select all {name}", { name: group.name }), onclick: () => choose(group.points.map((one) => one.clip)) },
        h(`span.mark-of.${group.symbol}`, { style: { "--c": group.colour }, "aria-hidden": "true" }), group.name, h("small", {}, number(group.points.length)))));
  }

  function single(clip) {
    const place = h("ol.cards", {});
    Promise.all([read(`/v1/clips/${clip}`), remembered("/v1/stats")]).then(
      ([found, { min_confidence: least }]) => fill(place, card(found, { least, go: (example) => { location.hash = `#/search?${new Query().withExample(example)}`; } })),
      (error) => fill(place, h("li", {}, problemBox(error))));
    return h("div", {}, place, h("button", { type: "button", onclick: () => choose([]) }, t("Clear selection")));
  }

  function received(event) {
    if (event.source !== frame.contentWindow) return;
    const { type, clip, clips, message } = event.data ?? {};
    if (clip !== undefined && !points.some((one) => one.clip === clip)) return;
    if (type === "ready") { ready = true; draw(); }
    if (type === "drawn") { cover.hidden = true; frame.dataset.drawn = points.length; frame.dataset.colour = asked.colour; }
    if (type === "click") choose([clip]);
    if (type === "selected") choose(clips, clips.length === 0);
    if (type === "hover" || type === "unhover") clearTimeout(hovering);
    if (type === "hover" && sounds.checked) hovering = setTimeout(() => player.play(`clip-${clip}`, `/v1/clips/${clip}/audio`).catch(sayFailure), HOVER_MS);
    if (type === "failed") { cover.hidden = false; fill(cover, emptyBox(t("The map cannot be drawn"), t("{why}. The groups beside it can still be taken.", { why: message }))); }
  }
  window.addEventListener("message", received, { signal });
  frame.addEventListener("themechange", () => { draw(); panel.querySelector(".groups")?.replaceWith(legend()); });
  signal.addEventListener("abort", () => { turn.abort(); clearTimeout(hovering); });

  controls();
  load();
  read("/v1/clusterings", { signal }).then(
    (found) => { clusterings = found.data; controls(); },
    (error) => { if (!signal.aborted) fill(unread, missing(t("The clusterings are not known"), error)); });
  return {
    update: (changed) => {
      const before = asked;
      asked = state(changed);
      controls();
      if (`${before.query}` === `${asked.query}` && before.method === asked.method && before.limit === asked.limit && before.clustering === asked.clustering) { draw(); tell(); } else load();
    },
  };
}

function state(params) {
  const one = (name, known, otherwise) => (known.includes(params.get(name)) ? params.get(name) : otherwise);
  return {
    query: new Query(params),
    colour: one("colour", Object.keys(COLOURS), "emotion"),
    method: one("method", ["pca", "umap"], "pca"),
    limit: Number(one("points", LIMITS.map(String), "2000")),
    clustering: params.get("clustering") ?? "",
  };
}

/** Points by a field: emotions and labels in their own colours; of many values the largest. */
function groups(points, by) {
  const found = new Map();
  for (const one of points) {
    const name = one[by] ?? NONE;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(one);
  }
  let names = [...found.keys()].filter((name) => name !== NONE);
  const felt = ["emotion", "label", "predicted"].includes(by);
  names = felt ? sorted(names) : names.sort((a, b) => found.get(b).length - found.get(a).length);
  const shown = names.slice(0, felt ? names.length : MOST_GROUPS);
  const rest = [...names.slice(shown.length), ...(found.has(NONE) ? [NONE] : [])];
  const made = shown.map((name, place) => ({
    name: felt ? named(name) : by === "cluster" && name !== "noise" ? t("cluster {n}", { n: name }) : name,
    points: found.get(name),
    colour: felt ? colour(name) : token(`--group-${place % 8}`),
    symbol: felt ? symbol(name) : ["circle", "diamond", "square", "triangle-up", "cross", "x"][Math.floor(place / 8) + (place % 3)],
  }));
  if (rest.length) made.push({ name: rest.length === 1 && rest[0] === NONE ? t("no {what}", { what: COLOURS[by] }) : t("others"), points: rest.flatMap((name) => found.get(name)), colour: token("--none"), symbol: "circle-open" });
  return made;
}

function summary(map) {
  const sample = map.clips > map.points.length ? t(" of {n}, drawn at random", { n: number(map.clips) }) : "";
  const axes = map.explained ? t(" The axes explain {shares} of the variance.", { shares: map.explained.map(percent).join(" + ") }) : "";
  return `${plural(map.points.length, "clip")}${sample}${t(".")}${axes}${t(" Near means alike; directions have no meaning of their own.")}`;
}

function chooser(title, set) {
  const field = h("select", { onchange: () => set(field.value) });
  return {
    element: h("label.field", {}, h("span", {}, title), field),
    tell(options, now) {
      if ([...field.options].map((one) => one.value).join("\n") !== options.map(([value]) => value).join("\n")) fill(field, options.map(([value, text]) => h("option", { value }, text)));
      field.value = now;
    },
  };
}
