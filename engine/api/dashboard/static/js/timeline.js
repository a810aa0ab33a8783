// A recording from left to right: its waveform, its clips, and what the model hears in them.

import { h, clock, token } from "./dom.js";
import { colourName, inWords, sorted } from "./emotions.js";
import { t } from "./words.js";

const WIDEST = 16000;  // pixels that browsers let a canvas have
const WAVE = 96;
const BAND = 64;
const SMALL = 0.66;  // of these heights, where there are several lanes
const DRAG = 5;

/**
 * @param duration seconds
 * @param lanes [{name, channel, clips, stretches: [{start, end, scores}]}], one for each channel
 * @param handlers {pick(clip), hear(seconds), stretch({start, end, channel})}; stretch(null): no longer
 */
export class Timeline {
  constructor(duration, lanes, handlers) {
    this.duration = duration;
    this.lanes = lanes;
    this.handlers = handlers;
    this.zoom = 1;
    this.marks = new Map();
    const size = lanes.length > 1 ? SMALL : 1;
    [this.tallWave, this.tallBand] = [WAVE * size, BAND * size];
    this.head = h("div.playhead", { hidden: true });
    this.cut = h("div.cut", { hidden: true });
    this.axis = h("div.axis", { "aria-hidden": "true" });
    this.parts = lanes.map((lane) => ({
      lane,
      wave: h("canvas", { role: "img", "aria-label": lane.name ? t("Waveform of {name}", { name: lane.name }) : t("Waveform of the recording"), height: this.tallWave }),
      band: h("canvas.band", { role: "img", "aria-label": `${lane.name ? t("Emotion over time of {name}", { name: lane.name }) : t("Emotion over time")}: ${summary(lane.stretches)}` }),
    }));
    this.inner = h("div.inner", {},
      this.parts.map(({ lane, wave, band }) => {
        const area = h("div.wave-area", {}, wave, lane.clips.map((clip) => this.#marked(clip)), lane.name && h("p.lane", {}, lane.name));
        this.#pointers(area, lane);
        return [area, band];
      }),
      this.axis, this.cut, this.head);
    this.scroll = h("div.scroll", { tabindex: "0", role: "group", "aria-label": t("Timeline; scrolls sideways when enlarged") }, this.inner);
    this.element = h("div.timeline", {}, this.scroll);
    new ResizeObserver(() => this.paint()).observe(this.inner);
    this.parts[0].wave.addEventListener("themechange", () => this.paint());
  }

  /** The outline of a lane's sound, 0 to 255. */
  setPeaks(peaks, place = 0) {
    this.parts[place].peaks = peaks;
    this.parts[place].wave.dataset.ready = "yes";
    this.paint();
  }

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
    for (const { lane, wave, band, peaks } of this.parts) {
      if (peaks) this.#paintWave(wave, width, peaks, lane.clips);
      this.#paintBand(band, width, lane);
    }
    this.#paintAxis(width);
  }

  #marked(clip) {
    const mark = h("div.mark", { style: { left: `${(100 * clip.start) / this.duration}%`, width: `${(100 * (clip.end - clip.start)) / this.duration}%` } });
    this.marks.set(clip.clip, mark);
    this.relabel(clip);
    return mark;
  }

  /** Bars of the mean of the outline, as in an hour every largest one is loud; paler where no clip is. */
  #paintWave(canvas, width, peaks, clips) {
    const high = this.tallWave;
    const pen = sized(canvas, width, high);
    const [speech, silence] = [token("--wave"), token("--line")];
    const count = Math.floor(width / 2);
    const bars = Array.from({ length: count }, (_, bar) => {
      const from = Math.floor((bar * peaks.length) / count);
      const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / count));
      let sum = 0;
      for (let i = from; i < to; i++) sum += peaks[i];
      return sum / (to - from);
    });
    const loudest = Math.max(8, ...bars);
    const spoken = clips.length ? spans(clips) : [{ start: 0, end: this.duration }];
    bars.forEach((bar, place) => {
      const at = ((place + 0.5) / count) * this.duration;
      const tall = Math.max(1, (bar / loudest) * (high - 6));
      pen.fillStyle = spoken.some((one) => one.start <= at && at < one.end) ? speech : silence;
      pen.fillRect(place * 2, (high - tall) / 2, 1.4, tall);
    });
  }

  /** Scores over time, each emotion as tall as its share; nothing where no clip is. */
  #paintBand(canvas, width, { stretches, clips }) {
    const high = this.tallBand;
    const pen = sized(canvas, width, high);
    const x = (at) => (at / this.duration) * width;
    const colours = new Map();
    for (const { start, end, scores } of stretches) {
      const names = sorted(Object.keys(scores));
      const total = names.reduce((sum, name) => sum + (scores[name] ?? 0), 0);
      if (!total) continue;
      let low = high;
      for (const name of names) {
        if (!colours.has(name)) colours.set(name, token(colourName(name)));
        const tall = ((scores[name] ?? 0) / total) * high;
        pen.fillStyle = colours.get(name);
        pen.fillRect(x(start), low - tall, Math.max(1, x(end) - x(start)), tall);
        low -= tall;
      }
    }
    if (!clips.length) return;
    pen.fillStyle = token("--sunk");
    const edges = [{ end: 0 }, ...spans(clips), { start: this.duration }];
    for (let place = 1; place < edges.length; place++) {
      const [from, to] = [edges[place - 1].end, edges[place].start];
      if (to > from) { pen.clearRect(x(from), 0, x(to) - x(from), high); pen.fillRect(x(from), 0, x(to) - x(from), high); }
    }
  }

  #paintAxis(width) {
    const steps = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((one) => (one / this.duration) * width > 70) ?? 7200;
    const ticks = [];
    for (let at = 0; at < this.duration * 0.985; at += step) ticks.push(h("span", { style: { left: `${(100 * at) / this.duration}%` } }, clock(at, step < 1)));
    this.axis.replaceChildren(...ticks);
  }

  #pointers(area, lane) {
    const second = (event) => {
      const box = area.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.duration;
    };
    let began = null;
    const moved = (event) => Math.hypot(event.clientX - began.x, event.clientY - began.y) > DRAG;
    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      began = { x: event.clientX, y: event.clientY, at: second(event) };
      if (event.pointerType === "mouse") area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (began && event.pointerType === "mouse" && moved(event)) this.setCut(span(began.at, second(event)));
    });
    area.addEventListener("pointercancel", () => { began = null; });
    area.addEventListener("pointerup", (event) => {
      if (!began) return;
      const [from, to, dragged] = [began.at, second(event), moved(event)];
      began = null;
      // A finger that has moved meant to scroll; stretches are marked by the fields below, too.
      if (dragged && event.pointerType !== "mouse") return;
      if (dragged && from !== to) { this.handlers.stretch({ ...span(from, to), channel: lane.channel }); return; }
      this.handlers.stretch(null);
      const clip = lane.clips.find((one) => one.start <= to && to < one.end);
      if (clip) this.handlers.pick(clip);
      this.handlers.hear(to);
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

/** When some clip is, in order, each stretch once. */
function spans(clips) {
  const found = [];
  for (const { start, end } of [...clips].sort((a, b) => a.start - b.start)) {
    if (found.length && start <= found.at(-1).end) found.at(-1).end = Math.max(end, found.at(-1).end);
    else found.push({ start, end });
  }
  return found;
}

function summary(stretches) {
  const [sums, all] = [{}, stretches.reduce((sum, one) => sum + one.end - one.start, 0) || 1];
  for (const { start, end, scores } of stretches) for (const [name, score] of Object.entries(scores)) sums[name] = (sums[name] ?? 0) + ((score ?? 0) * (end - start)) / all;
  return stretches.length ? inWords(sums) : t("no scores");
}

/** Names of all classes in lanes, for a legend. */
export const classesOf = (lanes) => sorted(new Set(lanes.flatMap((lane) => lane.stretches.flatMap((one) => Object.keys(one.scores)))));
