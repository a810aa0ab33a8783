// Analyses one clip that is not kept, or two side by side: what the model hears, when, and who sounds
// like that.

import { read } from "./api.js";
import { follow, localPath, player, sound } from "./audio.js";
import { scoreBars } from "./bars.js";
import { card } from "./card.js";
import { fill, h, icon, clock } from "./dom.js";
import { dropZone } from "./dropzone.js";
import { spectrogram } from "./spectrogram.js";
import { classesOf, Timeline } from "./timeline.js";
import { dot, named } from "./emotions.js";
import { bind } from "./keys.js";
import { busyBox, emptyBox, missing, problemBox, sayFailure } from "./problems.js";
import { add, items, queue } from "./queue.js";
import { jobState } from "./ingest.js";
import { save } from "./save.js";
import { turnList } from "./turns.js";
import { amount, number, percent, t, translated } from "./words.js";

const MOST = 2;
const NEAREST = 6;  // of two clips beside each other half of them each
const WINDOWS = [1, 2, 3, 5];

const slots = [];  // what is analysed, kept while the tab is open: {file, path, window, fine, answer, job}

export function render(main, { signal }) {
  const place = h("div.analyses", {});
  const versus = h("div.live", { "aria-live": "polite" });
  const zone = dropZone(take, { lead: "", record: true });
  const lead = zone.element.querySelector("p");

  function take(files) {
    if (slots.length + files.length > MOST) { zone.say(t("Two clips at most stand side by side; remove one first.")); return; }
    for (const file of files) slots.push({ file, path: localPath(file), window: 2, fine: false });
    tell();
  }
  function tell() {
    player.stop();
    zone.element.hidden = slots.length === MOST;
    fill(lead, slots.length ? [h("b", {}, t("Compare it with another")), t(": drop a second clip here")] : [h("b", {}, t("Drop one clip here")), t(" to see what the model hears in it. It is not kept.")]);
    fill(place, slots.map((slot) => panel(slot, { remove: () => { slots.splice(slots.indexOf(slot), 1); tell(); }, ready: compared, signal })));
    place.classList.toggle("two", slots.length === MOST);
    compared();
  }
  async function compared() {
    fill(versus);
    if (slots.length < MOST || slots.some((slot) => !slot.answer)) return;
    const form = new FormData();
    for (const { file } of slots) form.append("file", file, file.name);
    try {
      const { similarity: [[, cosine]], percentile } = await read("/v1/compare", { method: "POST", body: form, signal });
      if (slots.length === MOST) fill(versus, similarity(cosine, percentile?.[0][1]));
    } catch (error) {
      if (!signal.aborted) fill(versus, missing(t("Not compared"), error));
    }
  }
  fill(main, h("h1", {}, t("Analyse a voice")), zone.element, versus, place);
  bind([]);
  tell();
}

/** The cosine of the two, and the percentage of random pairs that are less alike, if that is known. */
function similarity(cosine, percentile) {
  return h("section.panel.versus", { "aria-label": t("Similarity") },
    h("p.big", {}, number(cosine, 3)),
    h("div", {},
      h("h2", {}, t("Similarity of the two")),
      h("p.hint", {}, percentile === undefined ? t("Cosine in the archive's space; the archive is too small to rank it.")
        : t("Closer than {share} of random pairs of the archive's clips.", { share: percent(percentile / 100) }))));
}

/** One clip: its analysis, once it is there. */
function panel(slot, { remove, ready, signal }) {
  const body = h("div.stack", {}, busyBox(t("Listening…")));
  const element = h("section.panel.stack", { "aria-label": slot.file.name },
    h("div.row.between", {}, h("h2", {}, slot.file.name), h("button.quiet", { type: "button", "aria-label": t("Remove {name}", { name: slot.file.name }), onclick: remove }, t("Remove"))),
    body);

  async function load() {
    try {
      slot.answer ??= await analysed(slot, signal);
      if (signal.aborted || !slots.includes(slot)) return;
      show();
      ready();
    } catch (error) {
      if (!signal.aborted) fill(body, problemBox(error, load));
    }
  }
  function show() {
    const { answer } = slot;
    const time = h("div.stack", {});
    overTime(slot, time, signal);
    fill(body,
      verdict(answer),
      h("div.split", {}, scoreBars(answer.scores, t("All scores")), h("div.stack", {}, axes(answer), downloads(slot, signal), keeping(slot, signal))),
      time, nearest(slot, signal));
  }
  load();
  return element;
}

const analysed = ({ file, window }, signal) => answerTo("/dashboard/analyse", file, { window }, signal);

/** The scores of each frame; read once. */
const readFrames = async (slot, signal) => (slot.frames ??= (await answerTo("/v1/predict", slot.file, { granularity: "frame" }, signal)).parts);

function answerTo(path, file, fields, signal) {
  const form = new FormData();
  form.append("file", file, file.name);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return read(path, { method: "POST", body: form, signal });
}

/** The emotion in a word, how sure the model is of it, and how that compares with the archive. */
function verdict({ emotion, confidence, min_confidence: least, rank, adapted, notices }) {
  const unsure = confidence < least;
  return h("div.verdict", {},
    h("p.big", {}, dot(emotion), unsure ? t("uncertain") : named(emotion)),
    h("p", {}, unsure
      ? t("The highest score is {emotion} with {score}; below {least} nothing is claimed.", { emotion: named(emotion), score: percent(confidence), least: percent(least) })
      : t("{score} confident.", { score: percent(confidence) }),
      rank !== null && t(" More {emotion} than in {share} of the archive's clips.", { emotion: named(emotion), share: percent(rank / 100) })),
    adapted === "none" && h("p.hint", {}, t("Not adapted to an archive: too little is known of how its voices sound.")),
    ...notices.map((text) => h("p.hint", {}, translated(text))));
}

/** Valence and arousal, -1 to 1, on lines. */
function axes({ valence, arousal }) {
  const line = (name, value, low, high) => h("div.axis-row", {},
    h("span", {}, name),
    h("span.line", { role: "img", "aria-label": `${name} ${number(value, 2)}` }, h("span", { style: { left: `${50 * (value + 1)}%` } })),
    h("small", {}, number(value, 2)),
    h("small.ends", {}, h("span", {}, low), h("span", {}, high)));
  return h("div.axes", {}, line(t("Valence"), valence, t("unpleasant"), t("pleasant")), line(t("Arousal"), arousal, t("calm"), t("excited")));
}

/** Scores over time by window or by frame, with the sound and its turning points. */
function overTime(slot, place, signal) {
  const { answer } = slot;
  const choice = h("select", { onchange: () => change(choice.value) },
    WINDOWS.map((one) => h("option", { value: one, selected: !slot.fine && one === slot.window }, t("windows of {n} s", { n: one }))),
    answer.frames && h("option", { value: "frame", selected: slot.fine }, t("frames of 20 ms")));
  const wrong = h("div", {});
  const parts = slot.fine ? slot.frames : answer.parts;
  const lanes = [{ name: "", channel: null, clips: [], stretches: middles(parts, answer.duration) }];
  const hear = (at) => player.play(slot.path, slot.path, at).catch(sayFailure);
  const timeline = new Timeline(answer.duration, lanes, { pick: () => {}, hear, stretch: () => {} });
  const play = h("button", { type: "button", onclick: () => player.toggle(slot.path, slot.path).catch(sayFailure) });
  const clockText = h("span.time", {});
  const tell = () => {
    const plays = player.plays(slot.path);
    fill(play, icon(plays ? "stop" : "play"), plays ? t("Stop") : t("Play"));
    tick();
  };
  const tick = () => {
    const plays = player.plays(slot.path);
    timeline.setHead(plays ? Math.min(answer.duration, player.time) : null);
    clockText.textContent = `${clock(plays ? player.time : 0, true)} / ${clock(answer.duration, true)}`;
  };
  follow(play, { change: tell, tick, mine: (key) => key === slot.path });
  tell();

  async function change(value) {
    choice.disabled = true;
    try {
      if (value === "frame") await readFrames(slot, signal);
      else if (Number(value) !== slot.window) slot.answer = { ...await analysed({ ...slot, window: Number(value) }, signal), embedding: answer.embedding };
      slot.fine = value === "frame";
      if (!slot.fine) slot.window = Number(value);
      overTime(slot, place, signal);
      place.querySelector("select").focus();
    } catch (error) {
      choice.disabled = false;
      if (!signal.aborted) fill(wrong, missing(t("Not read"), error));
    }
  }
  sound(slot.path, { signal }).then(
    ({ peaks }) => timeline.setPeaks(Array.from(peaks, (one) => one * 255)),
    () => { fill(wrong, h("p.hint", {}, t("This browser cannot draw the sound of this file; the server could read it."))); });
  fill(place,
    h("div.row.between", {}, h("div.row", {}, play, clockText), h("label.row.choice", {}, h("span", {}, t("Scores over time in")), choice)),
    wrong, timeline.element, spectrogram(slot.path, slot.file.name),
    h("p.legend", {}, classesOf(lanes).map((name) => h("span", {}, dot(name), named(name)))),
    turnList([{ turning_points: answer.turning_points }], hear) ?? h("p.hint", {}, t("No turning point: the emotion stays about the same.")));
}

/** Overlapping parts as stretches end to end, each up to the middle between its centre and the next. */
function middles(parts, duration) {
  const centres = parts.map((one) => (one.start + one.end) / 2);
  const border = (place) => (place === 0 ? parts[0].start : place === parts.length ? Math.min(duration, parts.at(-1).end) : (centres[place - 1] + centres[place]) / 2);
  return parts.map(({ scores, start, end }, place) => ({ scores, start: Math.max(start, border(place)), end: Math.min(end, border(place + 1)) }));
}

function downloads(slot, signal) {
  const { file, answer } = slot;
  const stem = file.name.replace(/\.[^.]*$/, "");
  const { embedding, frames: _, ...result } = answer;
  return h("div.row", {},
    h("button", { type: "button", onclick: () => save(npy(embedding), `${stem}.embedding.npy`, "application/x-npy") }, t("Download embedding.npy")),
    h("button", { type: "button", onclick: () => save(`${JSON.stringify({ ...result, timestamp: new Date().toISOString() }, null, 2)}\n`, `${stem}.result.json`, "application/json") }, t("Download result.json")),
    answer.frames && h("button", { type: "button", onclick: () => readFrames(slot, signal).then((parts) => save(`${JSON.stringify(parts)}\n`, `${stem}.frames.json`, "application/json"), sayFailure) }, t("Download frames.json")));
}

/** A NumPy file (format 1.0) of a vector: float32, (n,). */
export function npy(vector) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${vector.length},), }`;
  const head = text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11) + "\n";
  const size = new Uint8Array([head.length % 256, head.length >> 8]);
  return new Blob(["\x93NUMPY", "\x01\x00"].map((one) => Uint8Array.from(one, (letter) => letter.charCodeAt(0))).concat(size, head, new DataView(Float32Array.from(vector).buffer)));
}

function keeping(slot, signal) {
  const place = h("div", { "aria-live": "polite" });
  const tell = () => fill(place, items.includes(slot.job) ? jobState(slot.job) : h("div.row", {},
    h("button", { type: "button", onclick: () => { [slot.job] = add([slot.file], {}); tell(); } }, t("Keep in archive")),
    h("p.hint", {}, t("Or with source, speaker and labels: "), h("a", { href: "#/ingest" }, t("Add")))));
  queue.addEventListener("change", () => slot.job && tell(), { signal });
  tell();
  return place;
}

function nearest(slot, signal) {
  const place = h("div.stack", {}, busyBox(t("Searching…")));
  const load = async () => {
    try {
      const stats = await read("/v1/stats", { signal });
      if (!stats.clips) { fill(place, emptyBox(t("The archive is empty"), t("Once recordings are in it, those that sound most like this clip stand here."))); return; }
      const { hits } = await read("/v1/search", { method: "POST", json: { positive: [{ vector: slot.answer.embedding }], limit: slots.length === MOST ? NEAREST / 2 : NEAREST }, signal });
      const go = (example) => { location.hash = `#/search?${example.against ? "not" : "clip"}=${example.clip}`; };
      fill(place, h("h3", {}, t("Nearest clips of the archive")), h("ol.cards", {}, hits.map((hit, rank) => card(hit, { rank: rank + 1, go, least: stats.min_confidence }))));
    } catch (error) {
      if (!signal.aborted) fill(place, problemBox(error, load));
    }
  };
  load();
  return place;
}
