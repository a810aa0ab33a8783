// A recording from left to right: its waveform, its clips, and what the model hears in them.

import { h, clock, token } from "./dom.js";
import { colourName, inWords, sorted } from "./emotions.js";

const WIDEST = 16000;  // pixels that browsers let a canvas have
const WAVE = 96;
const BAND = 64;
const DRAG = 5;

/**
 * @param duration seconds
 * @param lanes [{name, channel, clips, stretches: [{start, end, scores}]}], one for each channel
 * @param told {pick(clip), hear(seconds), stretch({start, end, channel})}; stretch(null): no longer
 */
export class Timeline {
  constructor(duration, lanes, told) {
    this.duration = duration;
    this.lanes = lanes;
    this.peaks = null;
    this.told = told;
    this.zoom = 1;
    this.marks = new Map();
    this.wave = h("canvas", { role: "img", "aria-label": "Waveform of the recording", height: WAVE });
    this.head = h("div.playhead", { hidden: true });
    this.cut = h("div.cut", { hidden: true });
    this.axis = h("div.axis", { "aria-hidden": "true" });
    this.bands = lanes.map((lane) => ({ lane, canvas: h("canvas.band", { role: "img", "aria-label": `Emotion over time${lane.name ? ` of ${lane.name}` : ""}: ${summary(lane.stretches)}` }) }));
    this.inner = h("div.inner", {},
      h("div.wave-area", {}, this.wave, lanes.map((lane, place) => this.#overlay(lane, place))),
      this.bands.map(({ lane, canvas }) => [lane.name && h("p.lane", {}, lane.name), canvas]),
      this.axis, this.cut, this.head);
    this.scroll = h("div.scroll", { tabindex: "0", role: "group", "aria-label": "Timeline; scrolls sideways when enlarged" }, this.inner);
    this.element = h("div.timeline", {}, this.scroll);
    this.#pointers();
    new ResizeObserver(() => this.paint()).observe(this.inner);
    this.wave.addEventListener("themechange", () => this.paint());
  }

  setPeaks(peaks) { this.peaks = peaks; this.wave.dataset.ready = "yes"; this.paint(); }

  setZoom(zoom) {
    const middle = (this.scroll.scrollLeft + this.scroll.clientWidth / 2) / this.inner.clientWidth;
    this.zoom = zoom;
    this.inner.style.width = `${zoom * 100}%`;
    this.scroll.scrollLeft = middle * this.inner.clientWidth - this.scroll.clientWidth / 2;
  }

  /** Show which clip is meant, and bring it into view. */
  mark(clip) {
    for (const [id, mark] of this.marks) mark.classList.toggle("current", id === clip.clip);
    const [from, to] = [clip.start, clip.end].map((one) => (one / this.duration) * this.inner.clientWidth);
    const { scrollLeft, clientWidth } = this.scroll;
    if (from < scrollLeft || to > scrollLeft + clientWidth) this.scroll.scrollLeft = (from + to - clientWidth) / 2;
  }

  /** Where the sound is; null for nowhere. */
  setHead(seconds) {
    this.head.hidden = seconds === null;
    if (seconds !== null) this.head.style.left = `${(100 * seconds) / this.duration}%`;
  }

  setCut(span) {
    this.cut.hidden = !span;
    if (!span) return;
    this.cut.style.left = `${(100 * span.start) / this.duration}%`;
    this.cut.style.width = `${(100 * (span.end - span.start)) / this.duration}%`;
  }

  relabel(clip) {
    const mark = this.marks.get(clip.clip);
    if (!mark) return;
    mark.style.setProperty("--c", clip.label ? `var(${colourName(clip.label)})` : "transparent");
  }

  paint() {
    const width = this.inner.clientWidth;
    if (!width) return;
    this.inner.classList.toggle("dense", this.marks.size * 14 > width);
    if (this.peaks) this.#paintWave(width);
    for (const { lane, canvas } of this.bands) paintBand(canvas, width, lane.stretches, this.duration);
    this.#paintAxis(width);
  }

  #overlay(lane, place) {
    const [top, height] = [(100 * place) / this.lanes.length, 100 / this.lanes.length];
    return lane.clips.map((clip) => {
      const mark = h("div.mark", { style: { left: `${(100 * clip.start) / this.duration}%`, width: `${(100 * (clip.end - clip.start)) / this.duration}%`, top: `${top}%`, height: `${height}%` } });
      this.marks.set(clip.clip, mark);
      this.relabel(clip);
      return mark;
    });
  }

  #paintWave(width) {
    const pen = sized(this.wave, width, WAVE);
    pen.fillStyle = token("--wave");
    const count = Math.floor(width / 2);
    const bars = Array.from({ length: count }, (_, bar) => {
      const from = Math.floor((bar * this.peaks.length) / count);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * this.peaks.length) / count));
      let sum = 0;  // their mean: in an hour every largest one is loud
      for (let i = from; i < to; i++) sum += this.peaks[i];
      return sum / (to - from);
    });
    const loudest = Math.max(8, ...bars);
    bars.forEach((bar, place) => {
      const tall = Math.max(1, (bar / loudest) * (WAVE - 6));
      pen.fillRect(place * 2, (WAVE - tall) / 2, 1.4, tall);
    });
  }

  #paintAxis(width) {
    const steps = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((one) => (one / this.duration) * width > 70) ?? 7200;
    const ticks = [];
    for (let at = 0; at < this.duration * 0.985; at += step) ticks.push(h("span", { style: { left: `${(100 * at) / this.duration}%` } }, clock(at, step < 1)));
    this.axis.replaceChildren(...ticks);
  }

  #pointers() {
    const area = this.inner.firstChild;
    const second = (event) => {
      const box = area.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.duration;
    };
    let began = null;
    const moved = (event) => Math.hypot(event.clientX - began.x, event.clientY - began.y) > DRAG;
    const laneOf = (y) => {
      const box = area.getBoundingClientRect();
      return this.lanes[Math.max(0, Math.min(this.lanes.length - 1, Math.floor(((y - box.top) / box.height) * this.lanes.length)))];
    };
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      began = { x: event.clientX, at: second(event), y: event.clientY };
      if (event.pointerType === "mouse") area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (began && event.pointerType === "mouse" && moved(event)) this.setCut(span(began.at, second(event)));
    });
    area.addEventListener("pointercancel", () => { began = null; });
    area.addEventListener("pointerup", (event) => {
      if (!began) return;
      const [from, to, lane, dragged] = [began.at, second(event), laneOf(began.y), moved(event)];
      began = null;
      // A finger that has moved meant to scroll; stretches are marked by the fields below, too.
      if (dragged && event.pointerType !== "mouse") return;
      if (dragged && from !== to) { this.told.stretch({ ...span(from, to), channel: lane.channel }); return; }
      this.told.stretch(null);
      const clip = lane.clips.find((one) => one.start <= to && to < one.end);
      if (clip) this.told.pick(clip);
      this.told.hear(to);
    });
  }
}

const span = (a, b) => ({ start: Math.min(a, b), end: Math.max(a, b) });

function sized(canvas, width, height) {
  const dense = Math.min(window.devicePixelRatio || 1, 2, WIDEST / width);
  canvas.width = width * dense;
  canvas.height = height * dense;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  return pen;
}

function paintBand(canvas, width, stretches, duration) {
  const pen = sized(canvas, width, BAND);
  pen.fillStyle = token("--sunk");
  pen.fillRect(0, 0, width, BAND);
  const colours = new Map();
  for (const { start, end, scores } of stretches) {
    const names = sorted(Object.keys(scores));
    const total = names.reduce((sum, name) => sum + (scores[name] ?? 0), 0);
    if (!total) continue;
    const from = (start / duration) * width;
    const wide = Math.max(1, ((end - start) / duration) * width);
    let low = BAND;
    for (const name of names) {
      if (!colours.has(name)) colours.set(name, token(colourName(name)));
      const tall = ((scores[name] ?? 0) / total) * BAND;
      pen.fillStyle = colours.get(name);
      pen.fillRect(from, low - tall, wide, tall);
      low -= tall;
    }
  }
}

function summary(stretches) {
  const [sums, all] = [{}, stretches.reduce((sum, one) => sum + one.end - one.start, 0) || 1];
  for (const { start, end, scores } of stretches) for (const [name, score] of Object.entries(scores)) sums[name] = (sums[name] ?? 0) + ((score ?? 0) * (end - start)) / all;
  return stretches.length ? inWords(sums) : "no scores";
}

/** Names of all classes in lanes, for a legend. */
export const classesOf = (lanes) => sorted(new Set(lanes.flatMap((lane) => lane.stretches.flatMap((one) => Object.keys(one.scores)))));
