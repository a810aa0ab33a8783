// A recording: hear it, see how emotion moves through it, label its clips by keyboard.

import { read, readAll } from "./api.js";
import { follow, player, sound } from "./audio.js";
import { scoreBars } from "./bars.js";
import { facts } from "./card.js";
import { labelDesk } from "./desk.js";
import { fill, h, icon, clock, refill, toast } from "./dom.js";
import { dot, emotionBar, named, top, UNCERTAIN } from "./emotions.js";
import { bind } from "./keys.js";
import { setLabel } from "./labelling.js";
import { readdress } from "./place.js";
import { busyBox, emptyBox, missing, problemBox, sayFailure } from "./problems.js";
import { spectrogram } from "./spectrogram.js";
import { stretchDesk } from "./stretch.js";
import { classesOf, Timeline } from "./timeline.js";
import { turnList } from "./turns.js";
import { playButton, wave } from "./wave.js";
import { amount, day, number, percent, plural, t } from "./words.js";

const PART_S = 60;  // of a recording that are fetched at a time
const MOST_CLIPS = 5000;
const ZOOMS = [1, 2, 4, 8];

export function render(main, { params, id, signal }) {
  let wanted = Number(params.get("clip"));
  const at = Number(params.get("at"));
  let select = () => {};
  fill(main, busyBox(t("Reading the recording…")));
  const load = () => Promise.all([
    read(`/v1/recordings/${id}`, { signal }),
    readAll(`/v1/recordings/${id}/clips`, { most: MOST_CLIPS, signal }),
    read(`/v1/recordings/${id}/trend`, { signal }).catch((error) => ({ channels: [], error })),
  ]).then(
    ([recording, clips, trend]) => { if (!signal.aborted) select = show(main, recording, clips, trend, wanted || (at && clips.rows.filter((one) => one.end > at).sort((a, b) => a.start - b.start)[0]?.clip), signal); },
    (error) => { if (!signal.aborted) fill(main, h("h1", {}, t("Recording {n}", { n: id })), problemBox(error, load)); });
  load();
  return { update: (changed) => { wanted = Number(changed.get("clip")); select(wanted); } };
}

/** Fill the page; a function that selects a clip by its id. */
function show(main, recording, { rows, more }, trend, wanted, signal) {
  document.title = `${recording.file} · emotion-search`;
  const clips = rows.sort((a, b) => a.start - b.start || (a.channel ?? 0) - (b.channel ?? 0) || a.clip - b.clip);
  const byId = new Map(clips.map((clip) => [clip.clip, clip]));
  const lanes = lanesOf(clips, trend);
  let counts = JSON.stringify(recording.labels);
  let current = null;
  let part = null;
  let allScores = false;

  const whole = h("button.primary", { type: "button", onclick: () => (part === null ? hear(0) : player.stop()) });
  const clockText = h("span.time", {}, `${clock(0, true)} / ${clock(recording.duration, true)}`);
  const timeline = new Timeline(recording.duration, lanes, { pick: (clip) => select(clip, false), hear, stretch: mark });
  const stretch = stretchDesk(recording, lanes, { mark, hear });
  function mark(span) {
    timeline.setCut(span);
    stretch.tell(span);
  }

  const path = (number) => `${recording.audio}?start=${number * PART_S}&end=${Math.min((number + 1) * PART_S, Math.ceil(recording.duration * 1000) / 1000 + 1)}`;
  const parts = Math.ceil(recording.duration / PART_S);

  async function hear(seconds) {
    const number = Math.min(parts - 1, Math.floor(seconds / PART_S));
    try {
      part = number;
      await player.play(`recording-${number}`, path(number), seconds - number * PART_S);
      if (number + 1 < parts) sound(path(number + 1), { signal }).catch(() => {});  // reported when it is its turn
    } catch (error) {
      part = null;
      sayFailure(error);
    }
  }
  const next = ({ detail }) => { if (part !== null && detail === `recording-${part}` && part + 1 < parts) hear((part + 1) * PART_S); };
  player.addEventListener("ended", next, { signal });

  const playing = () => clips.find((one) => player.plays(`clip-${one.clip}`));
  function where() {
    if (part !== null && player.plays(`recording-${part}`)) return part * PART_S + player.time;
    const clip = playing();
    return clip ? clip.start + player.time : null;
  }
  const follows = () => {
    const at = where();
    if (part !== null && !player.plays(`recording-${part}`)) part = null;
    timeline.setHead(at);
    if (at !== null) clockText.textContent = `${clock(at, true)} / ${clock(recording.duration, true)}`;
  };
  const buttonTells = () => {
    follows();
    fill(whole, icon(part === null ? "play" : "stop"), part === null ? t("Play all") : t("Stop"));
  };
  // It owns all sounds of the page: what was begun plays on while another clip is selected.
  follow(whole, { tick: follows, change: buttonTells, mine: (key) => key === `recording-${part}` || Boolean(playing()) });

  const list = h("ol.rows", { "aria-label": t("Clips of the recording") });
  const items = new Map(clips.map((clip) => [clip.clip, row(clip, trend.min_confidence, () => select(clip))]));
  fill(list, [...items.values()].map((one) => one.element));

  const head = h("div.clip-head", { "aria-live": "polite" });
  const factsBox = h("div", {});
  const alike = h("a.button", {}, icon("search"), t("Find alike"));
  const desk = labelDesk(label);
  const panel = h("section.clip-panel", {}, head, factsBox, desk.element, h("div.row", {}, alike));

  function select(clip, scroll = true) {
    current = clip;
    for (const [id, one] of items) one.mark(id === clip.clip);
    const item = items.get(clip.clip).element;
    if (list.contains(document.activeElement)) item.firstChild.focus({ preventScroll: true });
    if (scroll) {
      const [box, at] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
      if (at.top < box.top || at.bottom > box.bottom) list.scrollTop += at.top - box.top - box.height / 2;
    }
    timeline.mark(clip);
    readdress(`#/recordings/${recording.recording}?clip=${clip.clip}`);
    const name = t("clip {n}", { n: clip.clip });
    refill(head, [
      h("div.row.between", {}, h("h2", {}, t("Clip {n}", { n: clip.clip })), h("span.span", {}, `${clock(clip.start, true)} – ${clock(clip.end, true)}`)),
      h("div.sound", {}, playButton(`clip-${clip.clip}`, clip.audio, name), wave(`clip-${clip.clip}`, clip.audio, name)),
      emotionBar(clip.scores, trend.min_confidence),
      Object.keys(clip.scores).length > 0 && h("details", { open: allScores, ontoggle: (event) => { allScores = event.target.open; } }, h("summary", {}, t("All scores")), scoreBars(clip.scores, t("All scores"))),
      spectrogram(clip.audio, name),
    ]);
    alike.href = `#/search?clip=${clip.clip}`;
    tell(clip);
  }

  /** Show the labels of a clip wherever it is shown, and leave all else as it is. */
  function tell(clip) {
    items.get(clip.clip).tell();
    timeline.relabel(clip);
    if (clip !== current) return;
    fill(factsBox, facts(clip));
    desk.tell(clip);
  }

  async function label(clip, task, value) {
    Object.assign(clip, await setLabel(clip.clip, task, value));
    if (signal.aborted) return;
    tell(clip);
    toast(value === null ? t("Clip {n} has no label now", { n: clip.clip }) : t("Clip {n}: {label}", { n: clip.clip, label: value }));
  }

  /** Show what others have labelled, or that the recording was erased. */
  async function news() {
    const path = `/v1/recordings/${recording.recording}`;
    try {
      const counted = JSON.stringify((await read(path, { signal })).labels);
      if (counted === counts) return;
      counts = counted;
      for (const { clip, labels } of (await readAll(`${path}/clips`, { most: MOST_CLIPS, signal })).rows) {
        const known = byId.get(clip);
        if (!known || JSON.stringify(known.labels) === JSON.stringify(labels)) continue;
        known.labels = labels;
        tell(known);
      }
    } catch (error) {
      if (error.kind !== "not-found") return;
      player.stop();
      bind([]);
      fill(main, h("h1", {}, recording.file), emptyBox(t("It was erased"), t("Somebody erased this recording while it was open here."), h("a.button", { href: "#/recordings" }, t("Recordings"))));
    }
  }
  document.addEventListener("archivechange", news, { signal });

  const step = (by) => {
    if (clips.length) select(clips[Math.max(0, Math.min(clips.length - 1, clips.indexOf(current) + by))]);
  };
  bind([
    { keys: ["j", "ArrowRight"], shown: ["j", "→"], does: t("next clip"), run: () => step(1) },
    { keys: ["k", "ArrowLeft"], shown: ["k", "←"], does: t("previous clip"), run: () => step(-1) },
    { keys: ["space"], shown: [t("Space")], does: t("play or stop the clip"), run: () => current && player.toggle(`clip-${current.clip}`, current.audio).catch(sayFailure) },
    { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: ["1", "…", "9"], does: t("set a label"), run: (key) => desk.press(Number(key)) },
    { keys: ["0"], does: t("take the label away"), run: () => desk.press(0) },
    { keys: ["s"], does: t("find clips that sound alike"), run: () => { if (current) location.hash = `#/search?clip=${current.clip}`; } },
  ]);

  const zoom = h("div.row.zoom", { role: "group", "aria-label": t("Zoom") }, ZOOMS.map((factor) =>
    h("button", { type: "button", "aria-pressed": String(factor === 1), onclick: (event) => {
      timeline.setZoom(factor);
      for (const one of event.currentTarget.parentElement.children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    } }, `${factor}×`)));

  fill(main,
    h("h1", {}, recording.file),
    about(recording),
    trend.channels.length > 0 && sentences(trend, recording.duration),
    h("div.row.between", {}, h("div.row", {}, whole, clockText), recording.duration > 10 ? zoom : null),
    timeline.element, stretch.element,
    h("p.legend", { "aria-label": t("Colours") }, classesOf(lanes).map((name) => h("span", {}, dot(name), named(name)))),
    h("p.hint", {}, t("Click to hear from there; drag, or write its start and end, to mark a stretch and find voices like it. Press ? for the keys.")),
    trend.error && clips.length ? missing(t("No trend"), trend.error) : turnList(trend.channels, hear, "h2"),
    more && h("p.hint", {}, t("The first {n} clips are shown.", { n: number(MOST_CLIPS) })),
    clips.length ? h("div.columns.wide", {}, h("section", {}, h("h2", {}, plural(clips.length, "clip")), list), panel)
      : emptyBox(t("No clips"), t("Nobody speaks in this recording, or its clips were not embedded by the archive's model.")));
  buttonTells();
  if (clips.length) select(byId.get(wanted) ?? clips[0]);
  const drawn = lanes.map(({ channel }, place) => read(`/dashboard/recordings/${recording.recording}/peaks${channel === null ? "" : `?channel=${channel}`}`, { signal }).then(({ peaks }) => timeline.setPeaks(peaks, place)));
  Promise.all(drawn).catch((error) => { if (!signal.aborted) timeline.element.after(missing(t("No waveform"), error)); });
  return (id) => { if (byId.has(id) && byId.get(id) !== current) select(byId.get(id)); };
}

function lanesOf(clips, trend) {
  const names = new Map();
  for (const clip of clips) {
    const key = clip.channel ?? -1;
    if (!names.has(key)) names.set(key, { name: clip.channel_name ?? (clip.channel === null ? "" : t("channel {n}", { n: clip.channel })), channel: clip.channel, clips: [], stretches: [] });
    names.get(key).clips.push(clip);
    names.get(key).stretches.push({ start: clip.start, end: clip.end, scores: clip.scores });
  }
  for (const channel of trend.channels) {
    const lane = names.get(channel.channel ?? -1);
    const { time, scores } = channel.points;
    if (!lane || time.length < 3) continue;
    lane.stretches = time.slice(0, -1).map((start, place) => ({
      start,
      end: time[place + 1],
      scores: Object.fromEntries(Object.entries(scores).map(([name, values]) => [name, values[place] ?? 0])),
    }));
  }
  return names.size ? [...names.entries()].sort((a, b) => a[0] - b[0]).map((one) => one[1]) : [{ name: "", channel: null, clips: [], stretches: [] }];
}

/** A sentence for each channel: how much of it is speech, of which emotion, and how it turned. */
function sentences(trend, duration) {
  return h("ul.sentences", {}, trend.channels.map(({ channel_name: who, spoken, share, uncertain, turning_points: turns }) => {
    const most = Object.entries(share).sort((a, b) => b[1] - a[1]).filter(([, part], rank) => part >= (rank ? 0.1 : 0.005)).slice(0, 2);
    const felt = most.map(([name, part]) => `${named(name)} ${percent(part)}`);
    if (uncertain >= 0.005) felt.push(`${t("uncertain")} ${percent(uncertain)}`);
    const turn = [...turns].sort((a, b) => b.rise - a.rise)[0];
    return h("li", {}, who && h("b", {}, t("{name}: ", { name: who })),
      t("{felt} of speech", { felt: felt.join(t(", ")) }),
      turn && t(", turned to {emotion} at {time}", { emotion: named(turn.rises), time: clock(turn.time) }),
      h("small", {}, t("speaks {share} of the time", { share: percent(Math.min(1, spoken / duration)) })));
  }));
}

function about(recording) {
  const known = [recording.source, recording.speaker, recording.recorded_at && day(recording.recorded_at), amount(recording.duration), `${number(recording.sample_rate / 1000)} kHz`, recording.channels > 1 ? plural(recording.channels, "channel") : null];
  const more = Object.entries(recording.metadata);
  return h("p.facts", {}, known.filter(Boolean).map((one) => h("span", {}, one)),
    more.slice(0, 12).map(([name, value]) => h("span.pair-of", {}, `${name}=${value.length > 40 ? `${value.slice(0, 40)}…` : value}`)));
}

/** A clip's line in the list: `{element, tell(), mark(current)}`. */
function row(clip, least, pick) {
  const best = top(clip.scores);
  const emotion = best && (best.score < least ? UNCERTAIN : named(best.name));
  const labels = h("span", {});
  const button = h("button.pick", { type: "button", "aria-pressed": "false", onclick: pick },
    h("span.span", {}, clock(clip.start, true)),
    h("span.emotion", {}, best ? [dot(best.name), emotion] : "", clip.channel_name && h("small", {}, clip.channel_name)),
    labels);
  const element = h("li", { dataset: { clip: clip.clip } }, button);
  const tell = () => fill(labels, Object.keys(clip.labels).length ? h("span.label", {}, Object.entries(clip.labels).map(([task, value]) => (task === "emotion" ? named(value) : value)).join(t(", "))) : h("span.unlabelled", {}, t("no label")));
  tell();
  return { element, tell, mark: (current) => { element.classList.toggle("current", current); button.ariaPressed = String(current); } };
}
