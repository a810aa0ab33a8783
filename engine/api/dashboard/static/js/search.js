// The search page: examples for and against, filters, hits; without examples, the archive.

import { read, remembered } from "./api.js";
import { card, placeOf } from "./card.js";
import { fill, h, icon, clock, refill, toast } from "./dom.js";
import { dot, named } from "./emotions.js";
import { dropZone } from "./dropzone.js";
import { filterPanel } from "./filters.js";
import { bind } from "./keys.js";
import { recall, remember } from "./place.js";
import { busyBox, emptyBox, problemBox, sayFailure } from "./problems.js";
import { fileExample, fileOf, MOST, PAGE, Query } from "./query.js";
import { amount, number, plural, t } from "./words.js";

const BROWSED = 24;
const LISTED = 500;  // most clips of a page of the API's list
const MOST_FILES = 16;
const NAMED = 3;  // groups, of which a query has as many as it has examples

/** Show the page; the answer takes later changes of the address. */
export function render(main, { params, signal }) {
  let query = new Query(params);
  let turn = new AbortController();
  signal.addEventListener("abort", () => turn.abort());

  const examples = h("ul.chips", { "aria-label": t("Examples") });
  const found = h("section.found", { "aria-busy": "false" });
  const status = h("p.unseen", { role: "status" });

  const go = (changed) => {
    const next = `#/search${changed.toString() ? `?${changed}` : ""}`;
    if (location.hash === next) show(changed);
    else location.hash = next;
  };
  const add = (example) => { go(query.withExample(example)); window.scrollTo({ top: 0, behavior: "smooth" }); };
  const filters = filterPanel((name, value) => go(name === null ? query.with({ filters: {} }) : query.withFilter(name, value)));
  const count = h("span.count", { hidden: true });

  const take = (files) => {
    const audio = [...files];
    if (query.usable.filter((one) => one.file).length + audio.length > MOST_FILES) { toast(t("Up to {n} files can be examples at once.", { n: MOST_FILES }), "error"); return; }
    go(query.with({ examples: [...query.examples, ...audio.map((file) => fileExample(file))] }));
  };

  fill(main,
    h("h1", {}, t("Find voices that sound alike")),
    asker(take, (one) => add({ ...one, against: false })),
    examples, status,
    h("div.columns", {},
      h("aside", { "aria-label": t("Filters") }, h("details", { open: matchMedia("(min-width: 60rem)").matches }, h("summary", {}, t("Filters"), count), filters.element)),
      found));

  bind([
    { keys: ["j", "ArrowDown"], shown: ["j", "↓"], does: t("next clip"), run: () => step(found, 1) },
    { keys: ["k", "ArrowUp"], shown: ["k", "↑"], does: t("previous clip"), run: () => step(found, -1) },
    { keys: ["space"], shown: [t("Space")], does: t("play or stop the clip"), run: () => press(found, ".play") },
    { keys: ["m"], does: t("more like it"), run: () => press(found, ".actions button:first-child") },
    { keys: ["l"], does: t("less like it"), run: () => press(found, ".actions button:nth-child(2)") },
    { keys: ["o"], does: t("open its recording"), run: () => press(found, "h3 a") },
  ]);

  function show(asked) {
    const longer = asked.limit > query.limit && `${asked.with({})}` === `${query.with({})}`;
    query = asked;
    turn.abort();
    turn = new AbortController();
    refill(examples, chips(query, go));
    examples.hidden = !examples.children.length;
    const chosen = Object.keys(query.filters).length;
    fill(count, chosen);
    count.hidden = chosen === 0;
    filters.tell(query);
    answer(query, turn.signal, longer ? found.querySelectorAll(".card").length : 0);
  }

  /** Show what is found; of more of the same the focus goes to the first that is new. */
  async function answer(asked, stopped, known) {
    found.setAttribute("aria-busy", "true");
    if (!found.children.length) fill(found, busyBox(t("Asking…")));
    try {
      const shown = asked.asks ? await hits(asked, stopped, { add, go }) : await browse(asked, stopped, { add, go });
      if (stopped.aborted) return;
      const [parts, inside] = [[shown].flat(), found.contains(document.activeElement)];
      refill(found, parts, parts.find((one) => one?.matches?.("h2")));
      if (known && inside) found.querySelectorAll(".card h3 a")[known]?.focus({ preventScroll: true });
      fill(status, found.querySelector("h2")?.textContent ?? "");
    } catch (error) {
      if (!stopped.aborted && error.name !== "AbortError") refill(found, [problemBox(error, () => show(asked)), asked.filtered ? h("div.row", {}, clearing(asked, go)) : null]);
    } finally {
      if (!stopped.aborted) found.setAttribute("aria-busy", "false");
    }
  }

  show(query);
  return { update: (params) => show(new Query(params)) };
}

function asker(take, pick) {
  const clip = h("input", { type: "number", min: 1, max: Number.MAX_SAFE_INTEGER, step: 1, required: true, id: "clip-number", placeholder: "42", inputmode: "numeric" });
  const form = h("form.row", { onsubmit: (event) => { event.preventDefault(); pick({ clip: Number(clip.value) }); clip.value = ""; } },
    h("label", { for: "clip-number" }, t("or clip")), clip, h("button", { type: "submit" }, t("Search")));
  const text = h("input", { type: "text", required: true, pattern: ".*\\S.*", id: "in-words", placeholder: t("an angry customer"), maxlength: 1000, autocomplete: "off" });
  const words = h("form.row.words", { hidden: true, onsubmit: (event) => { event.preventDefault(); pick({ text: text.value.trim() }); text.value = ""; } },
    h("label", { for: "in-words" }, t("or in words")), text, h("button", { type: "submit", "aria-label": t("Search by these words") }, t("Search")));
  remembered("/v1/stats").then((stats) => { words.hidden = !stats.text; }, () => {});  // the page tells why
  return dropZone(take, { lead: [h("b", {}, t("Drop a voice here")), t(" to hear who else sounds like that")], record: true, rest: [form, words] }).element;
}

function chips(query, go) {
  const all = query.examples.map((one) => {
    const [text, note] = one.file ? fileText(one) : [one.text ? t("“{words}”", { words: one.text }) : archiveText(one), null];
    return chip(text, one, note, () => go(query.without(one)), () => go(query.without(one).withExample({ ...one, against: !one.against })));
  });
  if (!all.length) return [];
  const shared = query.examples.every((one) => !one.file);
  return [...all,
    h("li", {}, h("button.quiet", { type: "button", onclick: () => go(query.with({ examples: [] })) }, t("Start anew"))),
    shared && h("li", {}, h("button.quiet", { type: "button", onclick: share }, icon("link"), t("Copy link")))];
}

function fileText(example) {
  const file = fileOf(example);
  return file ? [file.name, t("this tab only: a link cannot carry it")] : [t("a file"), t("of another tab, or from before a reload: choose it again")];
}

function archiveText(one) {
  const text = h("span", {}, one.clip ? t("clip {n}", { n: one.clip }) : [t("recording {n}", { n: one.recording }), one.channel !== undefined && t("channel {n}", { n: one.channel }), `${clock(one.start, true)} – ${clock(one.end, true)}`].filter(Boolean).join(t(", ")));
  if (one.clip) read(`/v1/clips/${one.clip}`).then((clip) => fill(text, h("a", { href: placeOf(clip) }, clip.file)), () => {});
  return text;
}

function chip(text, one, note, remove, turn) {
  const name = typeof text === "string" ? text : one.clip ? t("clip {n}", { n: one.clip }) : t("recording {n}", { n: one.recording });
  return h(`li.chip.${one.against ? "against" : "for"}`, {},
    h("button.sign", { type: "button", title: one.against ? t("Hits should not sound like it; press to turn") : t("Hits should sound like it; press to turn"), "aria-label": one.against ? t("Less like {name}; press to turn", { name }) : t("More like {name}; press to turn", { name }), onclick: turn }, one.against ? t("less like") : t("more like")),
    h("span.text", {}, text, note && h("small", {}, note)),
    h("button.remove", { type: "button", "aria-label": t("Remove {name}", { name }), onclick: remove }, icon("close")));
}

async function share() {
  try {
    await navigator.clipboard.writeText(location.href);
    toast(t("The link is copied."));
  } catch {
    toast(t("Copy the link from the address bar: the browser does not let pages do it here."));
  }
}

async function hits(query, signal, { add, go }) {
  const [{ hits }, { min_confidence: least }] = await Promise.all([
    read("/v1/search", { method: "POST", ...query.body(), signal }), remembered("/v1/stats")]);
  if (!hits.length) {
    return query.filtered
      ? emptyBox(t("No clip passes these filters"), t("Take some away, or all of them."), clearing(query, go))
      : emptyBox(t("Nothing else is there"), t("The archive has no clip but the examples."), h("a.button", { href: "#/ingest" }, t("Add recordings")));
  }
  const more = h("button", { type: "button", onclick: () => go(query.with({ limit: query.limit + PAGE })) }, t("Show more"));
  return [
    h("h2", { tabindex: "-1" }, t("{hits}, most alike first", { hits: plural(hits.length, "hit") })),
    hits[0].baselines.length > 0 && h("p.hint", {}, t("Examples count by how they differ from what is usual for {whose}.", { whose: usual(hits[0].baselines) })),
    h("ol.cards", {}, hits.map((hit, place) => card(hit, { rank: place + 1, go: add, least, asked: true }))),
    hits.length >= query.limit && query.limit < MOST && h("div.row.centre", {}, more),
  ];
}

/** The groups whose baselines the examples take, in words. */
function usual(groups) {
  const named = groups.map(({ level, source, speaker, recording, channel }) => [
    level === "speaker" && t("speaker {name}", { name: speaker }),
    level === "recording" && (recording === null ? t("the file itself") : t("recording {n}", { n: recording })),
    level === "nearest source" ? t("source {name}, the nearest", { name: source }) : source !== null && t("source {name}", { name: source }),
    channel !== null && t("channel {n}", { n: channel }),
  ].filter(Boolean).join(t(", ")) || t("the whole archive"));
  const rest = named.splice(NAMED).length;
  return [...named, ...(rest ? [t("and {n} more", { n: rest })] : [])].join(t("; "));
}

async function browse(query, signal, { add, go }) {
  const stats = await remembered("/v1/stats");
  if (!stats.clips) {
    return emptyBox(t("The archive is empty"), t("Add recordings, and every clip of them can be found by how it sounds."), h("a.button.primary", { href: "#/ingest" }, t("Add recordings")));
  }
  const params = query.listing();
  const [emotion] = stats.classes.filter((one) => query.filters.emotion?.length === 1 && query.filters.emotion[0] === one);
  if (emotion) params.set("sort", emotion);
  const list = h("ol.cards", {});
  const more = h("button", { type: "button", onclick: further }, t("Show more"));
  async function next(count) {
    params.set("limit", count);
    const page = await read(`/v1/clips?${params}`, { signal });
    const cards = page.data.map((clip) => card(clip, { go: add, least: stats.min_confidence }));
    list.append(...cards);
    more.hidden = page.next === null;
    if (page.next !== null) params.set("cursor", page.next);
    return cards;
  }
  async function further() {
    if (more.ariaDisabled === "true") return;  // not `disabled`, which would lose the focus
    more.ariaDisabled = "true";
    try {
      const [first] = await next(BROWSED);
      remember("browsed", list.children.length);
      first?.querySelector("h3 a").focus({ preventScroll: true });
    } catch (error) {
      sayFailure(error);
    } finally {
      more.ariaDisabled = "false";
    }
  }
  for (let left = recall("browsed") ?? BROWSED; left > 0 && !more.hidden; left -= LISTED) await next(Math.min(left, LISTED));
  return [
    query.examples.length > 0 && h("p.hint", { role: "status" }, t("Give an example of what clips should sound like, too: there is none to search with, so the archive is shown.")),
    h("h2", { tabindex: "-1" }, emotion ? t("Clips that pass the filters, most {emotion} first", { emotion: named(emotion) }) : query.filtered ? t("Clips that pass the filters") : t("Or start from a clip of the archive")),
    list.children.length ? list : emptyBox(t("No clip passes these filters"), t("Take some away, or all of them."), clearing(query, go)),
    h("div.row.centre", {}, more),
  ];
}

const clearing = (query, go) => h("button", { type: "button", onclick: () => go(query.with({ filters: {} })) }, t("Clear filters"));

function step(found, by) {
  const cards = [...found.querySelectorAll(".card")];
  if (!cards.length) return;
  const now = cards.findIndex((one) => one.classList.contains("current"));
  const next = cards[Math.max(0, Math.min(cards.length - 1, now < 0 ? (by > 0 ? 0 : cards.length - 1) : now + by))];
  cards.forEach((one) => one.classList.toggle("current", one === next));
  next.querySelector(".play").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });  // at once: one key more must not meet a page under way
}

function press(found, what) {
  (found.querySelector(".card.current") ?? found.querySelector(".card"))?.querySelector(what)?.click();
}
