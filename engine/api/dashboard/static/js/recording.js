// A recording: hear it, see how emotion moves through it, label its clips by keyboard.

import { read, readAll } from "./api.js";
import { follow, player, sound } from "./audio.js";
import { fill, h, icon, amount, clock, day, plural, toast } from "./dom.js";
import { dot, emotionBar, plain, top } from "./emotions.js";
import { bind } from "./keys.js";
import { labelsOf, setLabel, tasks } from "./labelling.js";
import { busyBox, emptyBox, problemBox } from "./problems.js";
import { classesOf, Timeline } from "./timeline.js";
import { wave, playButton } from "./wave.js";
import { facts } from "./card.js";

const PART_S = 60;  // of a recording that are fetched at a time
const MOST_CLIPS = 5000;
const ZOOMS = [1, 2, 4, 8];

export function render(main, { params, id, signal }) {
  fill(main, busyBox("Reading the recording…"));
  const parts = [read(`/v1/recordings/${id}`, { signal }), readAll(`/v1/recordings/${id}/clips`, { most: MOST_CLIPS, signal })];
  Promise.all(parts).then(
    async ([recording, clips]) => {
      const trend = await read(`/v1/recordings/${id}/trend`, { signal }).catch(() => null);
      if (!signal.aborted) show(main, recording, clips, trend, Number(params.get("clip")), signal);
    },
    (error) => { if (!signal.aborted) fill(main, h("h1", {}, `Recording ${id}`), problemBox(error)); });
  return { update: () => {} };
}

function show(main, recording, { rows: clips, more }, trend, wanted, signal) {
  document.title = `${recording.file} · emotion-search`;
  const lanes = lanesOf(clips, trend);
  let current = null;
  let part = null;

  const panel = h("section.clip-panel", { "aria-live": "polite" });
  const list = h("ol.rows", { "aria-label": "Clips of the recording" });
  const cutBar = h("div.row.cutbar", { hidden: true });
  const whole = h("button.primary", { type: "button", onclick: () => (part === null ? hear(0) : player.stop()) });
  const told = h("output.time", {}, `${clock(0, true)} / ${clock(recording.duration, true)}`);
  const timeline = new Timeline(recording.duration, lanes, { pick: (clip) => select(clip, false), hear, stretch });

  const path = (number) => `${recording.audio}?start=${number * PART_S}&end=${Math.min((number + 1) * PART_S, Math.ceil(recording.duration * 1000) / 1000 + 1)}`;
  const parts = Math.ceil(recording.duration / PART_S);

  async function hear(seconds) {
    const number = Math.min(parts - 1, Math.floor(seconds / PART_S));
    try {
      part = number;
      await player.play(`recording-${number}`, path(number), seconds - number * PART_S);
      if (number + 1 < parts) sound(path(number + 1)).catch(() => {});
    } catch (error) {
      part = null;
      toast(error.message, "error");
    }
  }
  const next = ({ detail }) => { if (part !== null && detail === `recording-${part}` && part + 1 < parts) hear((part + 1) * PART_S); };
  player.addEventListener("ended", next);
  signal.addEventListener("abort", () => player.removeEventListener("ended", next));

  function where() {
    if (part !== null && player.plays(`recording-${part}`)) return part * PART_S + player.time;
    const clip = clips.find((one) => player.plays(`clip-${one.clip}`));
    return clip ? clip.start + player.time : null;
  }
  const follows = () => {
    const at = where();
    if (part !== null && !player.plays(`recording-${part}`)) part = null;
    timeline.setHead(at);
    if (at !== null) told.textContent = `${clock(at, true)} / ${clock(recording.duration, true)}`;
  };
  const buttonTells = () => {
    follows();
    fill(whole, icon(part === null ? "play" : "stop"), part === null ? "Play all" : "Stop");
  };
  follow(whole, "tick", follows);
  follow(whole, "change", buttonTells);

  function stretch(span) {
    cutBar.hidden = !span;
    timeline.setCut(span);
    if (!span) return;
    const [start, end] = [span.start, span.end].map((one) => one.toFixed(2));
    fill(cutBar, h("span", {}, `Stretch ${clock(span.start, true)} – ${clock(span.end, true)}`),
      h("a.button.primary", { href: `#/?span=${recording.recording}:${start}-${end}` }, icon("search"), "Find alike"),
      h("button", { type: "button", onclick: () => stretch(null) }, "Clear"));
  }

  const rows = new Map(clips.map((clip) => [clip.clip, row(clip, () => select(clip))]));
  fill(list, [...rows.values()]);

  function select(clip, scroll = true) {
    current = clip;
    for (const [id, one] of rows) {
      one.classList.toggle("current", id === clip.clip);
      one.querySelector("button.pick").setAttribute("aria-pressed", String(id === clip.clip));
    }
    if (scroll) {
      const [box, one] = [list.getBoundingClientRect(), rows.get(clip.clip)];
      const at = one.getBoundingClientRect();
      if (at.top < box.top || at.bottom > box.bottom) list.scrollTop += at.top - box.top - box.height / 2;
    }
    timeline.mark(clip);
    history.replaceState(null, "", `#/recordings/${recording.recording}?clip=${clip.clip}`);
    tell();
  }

  function tell() {
    const name = `clip ${current.clip}`;
    fill(panel,
      h("div.row.between", {}, h("h2", {}, `Clip ${current.clip}`), h("span.span", {}, `${clock(current.start, true)} – ${clock(current.end, true)}`)),
      h("div.sound", {}, playButton(`clip-${current.clip}`, current.audio, name), wave(`clip-${current.clip}`, current.audio, name)),
      emotionBar(current.scores), facts(current), desk.element,
      h("div.row", {}, h("a.button", { href: `#/?clip=${current.clip}` }, icon("search"), "Find alike")));
    desk.tell(current);
  }

  const desk = labelDesk(async (task, value) => {
    const clip = current;
    try {
      Object.assign(clip, await setLabel(clip.clip, task, value));
    } catch (error) {
      toast(error.message, "error");
      return;
    }
    rows.get(clip.clip).replaceWith(replaced(clip));
    timeline.relabel(clip);
    toast(value === null ? `Clip ${clip.clip} has no label now` : `Clip ${clip.clip}: ${value}`);
    if (clip === current) select(clip);
  });
  const replaced = (clip) => {
    rows.set(clip.clip, row(clip, () => select(clip)));
    return rows.get(clip.clip);
  };

  const step = (by) => {
    if (!clips.length) return;
    const place = clips.indexOf(current) + by;
    select(clips[Math.max(0, Math.min(clips.length - 1, place))]);
  };
  bind([
    { keys: ["j", "ArrowRight"], shown: ["j", "→"], does: "next clip", run: () => step(1) },
    { keys: ["k", "ArrowLeft"], shown: ["k", "←"], does: "previous clip", run: () => step(-1) },
    { keys: ["space"], shown: ["Space"], does: "play or stop the clip", run: () => current && player.toggle(`clip-${current.clip}`, current.audio).catch((error) => toast(error.message, "error")) },
    { keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shown: ["1", "…", "9"], does: "set a label", run: (key) => current && desk.press(Number(key)) },
    { keys: ["0"], does: "take the label away", run: () => current && desk.press(0) },
    { keys: ["s"], does: "find clips that sound alike", run: () => { if (current) location.hash = `#/?clip=${current.clip}`; } },
  ]);

  const zoom = h("div.row.zoom", { role: "group", "aria-label": "Zoom" }, ZOOMS.map((factor) =>
    h("button", { type: "button", "aria-pressed": String(factor === 1), onclick: (event) => {
      timeline.setZoom(factor);
      for (const one of event.currentTarget.parentElement.children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    } }, `${factor}×`)));

  fill(main,
    h("h1", {}, recording.file),
    about(recording),
    h("div.row.between", {}, h("div.row", {}, whole, told), recording.duration > 10 ? zoom : null),
    timeline.element, cutBar,
    h("p.legend", { "aria-label": "Colours" }, classesOf(lanes).map((name) => h("span", {}, dot(name), plain(name)))),
    h("p.hint", {}, "Click to hear from there; drag to mark a stretch and find voices like it. Press ? for the keys."),
    trend && turns(trend, hear),
    more && h("p.hint", {}, `The first ${MOST_CLIPS} clips are shown.`),
    clips.length ? h("div.columns.wide", {}, h("section", {}, h("h2", {}, plural(clips.length, "clip")), list), panel)
      : emptyBox("No clips", "Nobody speaks in this recording, or its clips were not embedded by the archive's model."));
  buttonTells();
  if (clips.length) select(clips.find((one) => one.clip === wanted) ?? clips[0]);
  read(`/dashboard/recordings/${recording.recording}/peaks`, { signal }).then(
    ({ peaks }) => timeline.setPeaks(peaks),
    (error) => { if (!signal.aborted) cutBar.before(h("p.hint", { role: "status" }, `No waveform: ${error.message}.`)); });
}

function lanesOf(clips, trend) {
  const names = new Map();
  for (const clip of clips) {
    const key = clip.channel ?? -1;
    if (!names.has(key)) names.set(key, { name: clip.channel_name ?? (clip.channel === null ? "" : `channel ${clip.channel}`), clips: [], stretches: [] });
    names.get(key).clips.push(clip);
    names.get(key).stretches.push({ start: clip.start, end: clip.end, scores: clip.scores });
  }
  for (const channel of trend?.channels ?? []) {
    const lane = names.get(channel.channel ?? -1);
    const { time, scores } = channel.points;
    if (!lane || time.length < 3) continue;
    lane.stretches = time.slice(0, -1).map((start, place) => ({
      start,
      end: time[place + 1],
      scores: Object.fromEntries(Object.entries(scores).map(([name, values]) => [name, values[place] ?? 0])),
    }));
  }
  return names.size ? [...names.entries()].sort((a, b) => a[0] - b[0]).map((one) => one[1]) : [{ name: "", clips: [], stretches: [] }];
}

function turns(trend, hear) {
  const found = trend.channels.flatMap((one) => one.turning_points.map((turn) => ({ ...turn, who: one.channel_name })));
  if (!found.length) return null;
  return h("section.turns", {}, h("h2", {}, "Turning points"), h("ul", {}, found.sort((a, b) => a.time - b.time).slice(0, 40).map((turn) =>
    h("li", {}, h("button.quiet", { type: "button", onclick: () => hear(Math.max(0, turn.time - 2)) }, clock(turn.time)),
      dot(turn.rises), `${plain(turn.rises)} rises, `, dot(turn.falls), `${plain(turn.falls)} falls`, turn.who ? ` (${turn.who})` : ""))));
}

function about(recording) {
  const said = [recording.source, recording.speaker, recording.recorded_at && day(recording.recorded_at), amount(recording.duration), `${(recording.sample_rate / 1000).toLocaleString("en")} kHz`, recording.channels > 1 ? plural(recording.channels, "channel") : null];
  const more = Object.entries(recording.metadata);
  return h("p.facts", {}, said.filter(Boolean).map((one) => h("span", {}, one)),
    more.slice(0, 12).map(([name, value]) => h("span.pair-of", {}, `${name}=${value.length > 40 ? `${value.slice(0, 40)}…` : value}`)));
}

function row(clip, pick) {
  const best = top(clip.scores);
  return h("li", { dataset: { clip: clip.clip } }, h("button.pick", { type: "button", "aria-pressed": "false", onclick: pick },
    h("span.span", {}, clock(clip.start, true)),
    h("span.heard", {}, best ? [dot(best.name), best.name] : "", clip.channel_name && h("small", {}, clip.channel_name)),
    Object.keys(clip.labels).length ? h("span.label", {}, Object.values(clip.labels).join(", ")) : h("span.unlabelled", {}, "no label")));
}

/** The buttons that set a label, their keys, and the choice of a task. */
function labelDesk(set) {
  let [task, names, clip] = ["emotion", [], null];
  const buttons = h("div.labels", { role: "group", "aria-label": "Labels" });
  const chooser = h("select", { "aria-label": "Task", onchange: () => change(chooser.value) });
  const other = h("input", { type: "text", placeholder: "another label", "aria-label": "Another label", maxlength: 200 });
  const kind = h("input", { type: "text", placeholder: "another task", "aria-label": "Another task", maxlength: 200 });
  const element = h("div.desk", {},
    h("div.row.between", {}, h("h3", {}, "Label"), chooser),
    buttons,
    h("div.pair", {},
      h("form", { onsubmit: (event) => { event.preventDefault(); const name = other.value.trim(); if (!name) return; if (!names.includes(name)) names.push(name); other.value = ""; set(task, name); } }, other),
      h("form", { onsubmit: (event) => { event.preventDefault(); if (kind.value.trim()) change(kind.value.trim()); kind.value = ""; } }, kind)));

  async function change(name) {
    task = name;
    if (![...chooser.options].some((one) => one.value === name)) chooser.append(h("option", { value: name }, name));
    chooser.value = name;
    names = await labelsOf(name).catch(() => []);
    tell(clip);
  }
  function tell(now) {
    clip = now;
    const said = clip?.labels[task];
    fill(buttons,
      names.map((name, place) => h("button", { type: "button", "aria-pressed": String(said === name), onclick: () => set(task, name) },
        place < 9 && h("kbd", {}, place + 1), dot(name), name)),
      !names.length && h("p.hint", {}, "No label is in use under this task; write one."),
      h("button", { type: "button", disabled: said === undefined, onclick: () => set(task, null) }, h("kbd", {}, "0"), "no label"));
  }
  tasks().then((found) => { for (const name of found) chooser.append(h("option", { value: name }, name)); change(task); }, () => change(task));
  return {
    element,
    tell,
    press: (key) => {
      if (key === 0) { if (clip.labels[task] !== undefined) set(task, null); } else if (names[key - 1]) set(task, names[key - 1]);
    },
  };
}
