// Sound: fetched with the key (an <audio src> could not send it), drawn, and played one at a time.

import { send } from "./api.js";

const MOST_KEPT = 80;
const AT_ONCE = 4;

const kept = new Map();
const waiting = [];
let running = 0;

/** A WAV file of the API: its blob's address, its length in seconds, and its outline. */
export function sound(path) {
  if (kept.has(path)) {
    const known = kept.get(path);
    kept.delete(path);
    kept.set(path, known);
    return known;
  }
  const made = queued(async () => {
    const bytes = await (await send(path)).arrayBuffer();
    return { url: URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })), ...outline(bytes) };
  });
  kept.set(path, made);
  made.catch(() => kept.delete(path));
  if (kept.size > MOST_KEPT) {
    const [oldest, gone] = kept.entries().next().value;
    kept.delete(oldest);
    gone.then(({ url }) => player.url !== url && URL.revokeObjectURL(url), () => {});
  }
  return made;
}

function queued(work) {
  return new Promise((resolve, reject) => {
    waiting.push(() => work().then(resolve, reject).finally(() => { running--; next(); }));
    next();
  });
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running++;
    waiting.shift()();
  }
}

/** Duration and largest amplitudes (0 to 1, at most 400) of 16-bit PCM in a WAV file. */
export function outline(bytes, most = 400) {
  const view = new DataView(bytes);
  const name = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
  let [rate, channels, at] = [0, 1, 12];
  while (at + 8 <= bytes.byteLength) {
    const size = view.getUint32(at + 4, true);
    if (name(at) === "fmt ") {
      channels = view.getUint16(at + 10, true);
      rate = view.getUint32(at + 12, true);
    } else if (name(at) === "data") {
      const count = Math.floor(Math.min(size, bytes.byteLength - at - 8) / 2);
      return { duration: count / channels / rate, peaks: largest(new Int16Array(bytes.slice(at + 8, at + 8 + 2 * count)), most) };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error("the server sent no WAV file");
}

function largest(samples, most) {
  const count = Math.max(1, Math.min(most, Math.floor(samples.length / 8)));
  const peaks = new Float32Array(count);
  for (let part = 0; part < count; part++) {
    const [from, to] = [Math.floor((part * samples.length) / count), Math.floor(((part + 1) * samples.length) / count)];
    let most = 0;
    for (let i = from; i < to; i++) most = Math.max(most, Math.abs(samples[i]));
    peaks[part] = most / 32768;
  }
  return peaks;
}

/** The one player of the page. Tells `change` and, while it plays, `tick`. */
class Player extends EventTarget {
  constructor() {
    super();
    this.audio = new Audio();
    this.key = null;
    this.wanted = 0;
    this.url = "";
    this.audio.addEventListener("ended", () => this.stop(true));
    this.audio.addEventListener("error", () => this.url && this.stop());
  }

  /** Whether `key` plays or is about to. */
  plays(key) { return this.key === key; }

  get time() { return this.audio.currentTime; }

  /** Play what `path` names, from `at` seconds on, under a name; what played before ends. */
  async play(key, path, at = 0) {
    const turn = ++this.wanted;
    this.audio.pause();
    this.key = key;
    this.#tell("change");
    try {
      const { url } = await sound(path);
      if (turn !== this.wanted) return;
      this.url = url;
      this.audio.src = url;
      this.audio.currentTime = at;
      await this.audio.play();
      this.#tell("change");
      this.#tick(turn);
    } catch (error) {
      if (turn !== this.wanted || error.name === "AbortError") return;
      this.stop();
      throw error;
    }
  }

  /** Play, or stop if it is what plays. */
  async toggle(key, path, at = 0) {
    if (this.plays(key)) this.stop();
    else await this.play(key, path, at);
  }

  stop(ended = false) {
    this.wanted++;
    this.audio.pause();
    const was = this.key;
    this.key = null;
    this.#tell("change");
    if (ended) this.dispatchEvent(new CustomEvent("ended", { detail: was }));
  }

  #tick(turn) {
    if (turn !== this.wanted) return;
    this.#tell("tick");
    requestAnimationFrame(() => this.#tick(turn));
  }

  #tell(what) { this.dispatchEvent(new Event(what)); }
}

export const player = new Player();

/** Listen to the player for as long as `element` is in the page. */
export function follow(element, what, told) {
  const listener = () => {
    if (element.isConnected) told();
    else if (element.dataset.shown) player.removeEventListener(what, listener);
  };
  player.addEventListener(what, listener);
  requestAnimationFrame(() => { element.dataset.shown = "yes"; });
}
