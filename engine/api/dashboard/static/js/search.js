// The search page: examples for and against, filters, hits; without examples, the archive.

import { read, remembered } from "./api.js";
import { card, placeOf } from "./card.js";
import { fill, h, icon, clock, amount, number, plural, toast } from "./dom.js";
import { dot } from "./emotions.js";
import { filterPanel } from "./filters.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, problemBox } from "./problems.js";
import { PAGE, Query, uploads } from "./query.js";
import { recordButton } from "./recorder.js";

const BROWSED = 24;
const MOST_FILES = 16;

/** Show the page; the answer takes later changes of the address. */
export function render(main, { params, signal }) {
  let query = new Query(params);
  let turn = new AbortController();
  signal.addEventListener("abort", () => turn.abort());

  const examples = h("ul.chips", { "aria-label": "Examples" });
  const side = h("aside", { "aria-label": "Filters" });
  const found = h("section.found", { "aria-live": "polite", "aria-busy": "false" });

  const go = (changed) => {
    const next = `#/${changed.toString() ? `?${changed}` : ""}`;
    if (location.hash === next || (next === "#/" && !location.hash)) show(changed);
    else location.hash = next;
  };
  const add = (example) => { go(query.withExample(example)); window.scrollTo({ top: 0, behavior: "smooth" }); };
  const set = (name, value) => go(name === null ? query.with({ filters: {} }) : query.withFilter(name, value));

  const take = (files, against = false) => {
    const audio = [...files];
    if (uploads.length + audio.length > MOST_FILES) { toast(`Up to ${MOST_FILES} files can be examples at once.`, "error"); return; }
    uploads.push(...audio.map((file) => ({ file, name: file.name, against })));
    go(query.with({}));
  };

  fill(main,
    h("h1.quiet-title", {}, "Find voices that sound alike"),
    asker(take, (clip) => add({ clip, against: false })),
    examples,
    h("div.columns", {}, side, found));

  bind([
    { keys: ["j", "ArrowDown"], shown: ["j", "↓"], does: "next clip", run: () => step(found, 1) },
    { keys: ["k", "ArrowUp"], shown: ["k", "↑"], does: "previous clip", run: () => step(found, -1) },
    { keys: ["space"], shown: ["Space"], does: "play or stop the clip", run: () => press(found, ".play") },
    { keys: ["m"], does: "more like it", run: () => press(found, ".actions button:first-child") },
    { keys: ["l"], does: "less like it", run: () => press(found, ".actions button:nth-child(2)") },
    { keys: ["o"], does: "open its recording", run: () => press(found, "h3 a") },
  ]);

  function show(asked) {
    query = asked;
    turn.abort();
    turn = new AbortController();
    fill(examples, chips(query, go));
    examples.hidden = !examples.children.length;
    const open = side.querySelector("details")?.open ?? matchMedia("(min-width: 60rem)").matches;
    const at = document.activeElement?.closest("aside") ? document.activeElement : null;
    const [name, value] = [at?.name, at?.value];
    fill(side, h("details", { open }, h("summary", {}, "Filters", query.filtered ? h("span.count", {}, Object.keys(query.filters).length) : null), filterPanel(query, set)));
    if (name) setTimeout(() => [...side.querySelectorAll(`[name="${name}"]`)].find((one) => one.type !== "checkbox" || one.value === value)?.focus(), 60);
    answer(query, turn.signal);
  }

  async function answer(asked, stopped) {
    found.setAttribute("aria-busy", "true");
    if (!found.children.length) fill(found, busyBox("Asking…"));
    try {
      const shown = asked.asks ? await hits(asked, stopped, { add, go }) : await browse(asked, stopped, { add, go });
      if (!stopped.aborted) fill(found, shown);
    } catch (error) {
      if (!stopped.aborted && error.name !== "AbortError") fill(found, problemBox(error, () => show(asked)), asked.filtered ? clearing(asked, go) : null);
    } finally {
      if (!stopped.aborted) found.setAttribute("aria-busy", "false");
    }
  }

  show(query);
  return { update: (params) => show(new Query(params)) };
}

function asker(take, pick) {
  const chooser = h("input", { type: "file", accept: "audio/*,video/*,.flac,.opus,.ogg,.m4a", multiple: true, hidden: true, "aria-label": "Audio files", onchange: () => { take(chooser.files); chooser.value = ""; } });
  const said = h("p.said", { role: "status" });
  const record = recordButton((file) => { fill(said); take([file]); }, (text) => fill(said, text));
  const clip = h("input", { type: "number", min: 1, step: 1, id: "clip-number", placeholder: "42", inputmode: "numeric" });
  const zone = h("div.zone", {
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: (event) => { if (!zone.contains(event.relatedTarget)) zone.classList.remove("over"); },
    ondrop: (event) => { event.preventDefault(); zone.classList.remove("over"); if (event.dataTransfer.files.length) take(event.dataTransfer.files); },
  },
    h("p", {}, h("b", {}, "Drop a voice here"), " to hear who else sounds like that"),
    h("div.row", {},
      h("button.primary", { type: "button", onclick: () => chooser.click() }, icon("file"), "Choose files"),
      record,
      h("form.row", { onsubmit: (event) => { event.preventDefault(); if (clip.value) { pick(Number(clip.value)); clip.value = ""; } } },
        h("label", { for: "clip-number" }, "or clip"), clip, h("button", { type: "submit" }, "Search"))),
    said, chooser);
  return zone;
}

function chips(query, go) {
  const fromFiles = uploads.map((one) => chip(one.name, one, "this tab only: a link cannot carry it",
    () => { uploads.splice(uploads.indexOf(one), 1); go(query.with({})); },
    () => { one.against = !one.against; go(query.with({})); }));
  const fromArchive = query.examples.map((one) => {
    const text = h("span", {}, one.clip ? `clip ${one.clip}` : `recording ${one.recording}, ${clock(one.start, true)} – ${clock(one.end, true)}`);
    if (one.clip) read(`/v1/clips/${one.clip}`).then((clip) => fill(text, h("a", { href: placeOf(clip) }, clip.file)), () => {});
    return chip(text, one, null, () => go(query.without(one)), () => go(query.without(one).withExample({ ...one, against: !one.against })));
  });
  const all = [...fromFiles, ...fromArchive];
  if (all.length) {
    all.push(h("li", {}, h("button.quiet", { type: "button", onclick: () => { uploads.length = 0; go(query.with({ examples: [] })); } }, "Start anew")));
    if (!uploads.length) all.push(h("li", {}, h("button.quiet", { type: "button", onclick: share }, icon("link"), "Copy link")));
  }
  return all;
}

function chip(text, one, note, remove, turn) {
  const name = typeof text === "string" ? text : one.clip ? `clip ${one.clip}` : `recording ${one.recording}`;
  return h(`li.chip.${one.against ? "against" : "for"}`, {},
    h("button.sign", { type: "button", title: one.against ? "Hits should not sound like it; press to turn" : "Hits should sound like it; press to turn", "aria-label": `${one.against ? "Less" : "More"} like ${name}; press to turn`, onclick: turn }, one.against ? "less like" : "more like"),
    h("span.text", {}, text, note && h("small", {}, note)),
    h("button.remove", { type: "button", "aria-label": `Remove ${name}`, onclick: remove }, icon("close")));
}

async function share() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast("The link is copied.");
  } catch {
    toast("Copy the link from the address bar: the browser does not let pages do it here.");
  }
}

async function hits(query, signal, { add, go }) {
  const { hits } = await read("/v1/search", { method: "POST", ...query.body(), signal });
  if (!hits.length) {
    return query.filtered
      ? emptyBox("No clip passes these filters", "Take some away, or all of them.", clearing(query, go))
      : emptyBox("Nothing else is there", "The archive has no clip but the examples.", h("a.button", { href: "#/ingest" }, "Add recordings"));
  }
  return [
    h("div.row.between", {}, h("h2", {}, `${plural(hits.length, "hit")}, most alike first`)),
    h("ol.cards", {}, hits.map((hit, place) => card(hit, { rank: place + 1, go: add, asked: true }))),
    hits.length >= query.limit && query.limit < 1000 && h("div.row.centre", {}, h("button", { type: "button", onclick: () => go(query.with({ limit: query.limit + PAGE })) }, "Show more")),
  ];
}

async function browse(query, signal, { add, go }) {
  const stats = await remembered("/v1/stats");
  if (!stats.clips) {
    return emptyBox("The archive is empty", "Add recordings, and every clip of them can be found by how it sounds.", h("a.button.primary", { href: "#/ingest" }, "Add recordings"));
  }
  const params = query.listing();
  params.set("limit", BROWSED);
  const list = h("ol.cards", {});
  const more = h("button", { type: "button", onclick: () => next().catch((error) => toast(error.message, "error")) }, "Show more");
  const next = async () => {
    const page = await read(`/v1/clips?${params}`, { signal });
    list.append(...page.data.map((clip) => card(clip, { go: add })));
    more.hidden = page.next === null;
    if (page.next !== null) params.set("cursor", page.next);
  };
  await next();
  return [
    overview(stats, query, go),
    h("h2", {}, query.filtered ? "Clips that pass the filters" : "Or start from a clip of the archive"),
    list.children.length ? list : emptyBox("No clip passes these filters", "Take some away, or all of them.", clearing(query, go)),
    h("div.row.centre", {}, more),
  ];
}

const clearing = (query, go) => h("button", { type: "button", onclick: () => go(query.with({ filters: {} })) }, "Clear filters");

function overview(stats, query, go) {
  const figures = [["recordings", number(stats.recordings)], ["clips", number(stats.clips)], ["of speech", amount(stats.duration)], ["labelled", `${Math.round((100 * stats.labelled) / stats.clips)} %`]];
  const most = Math.max(...Object.values(stats.labels), 1);
  return h("section.overview", { "aria-label": "The archive" },
    h("dl.figures", {}, figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    Object.keys(stats.labels).length ? h("div.spread", {},
      h("h2", {}, "Labels"),
      Object.entries(stats.labels).slice(0, 10).map(([name, count]) =>
        h("button.bar-row", { type: "button", "aria-label": `Only ${name}: ${plural(count, "clip")}`, onclick: () => go(query.withFilter("label", [name])) },
          h("span", {}, dot(name), name), h("span.track", {}, h("span", { style: { width: `${(100 * count) / most}%` } })), h("small", {}, number(count))))) : null);
}

function step(found, by) {
  const cards = [...found.querySelectorAll(".card")];
  if (!cards.length) return;
  const now = cards.findIndex((one) => one.classList.contains("current"));
  const next = cards[Math.max(0, Math.min(cards.length - 1, now < 0 ? (by > 0 ? 0 : cards.length - 1) : now + by))];
  cards.forEach((one) => one.classList.toggle("current", one === next));
  next.querySelector(".play").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function press(found, what) {
  (found.querySelector(".card.current") ?? found.querySelector(".card"))?.querySelector(what)?.click();
}
