// Sound: fetched with the key (an <audio src> could not send it), drawn, and played one at a time.

import { send } from "./api.js";

const MOST_KEPT = 80;
const AT_ONCE = 4;

const kept = new Map();  // by path: {made, wanted, start, drop}, and `start` is null once it is fetched
let running = 0;

/**
 * A WAV file of the API: its blob's address, its length in seconds, and its outline.
 * A few are fetched at a time, but `now` at once; one that still waits when the `signal`s of all
 * who asked have gone off is not fetched: AbortError.
 */
export function sound(path, { now = false, signal = null } = {}) {
  const one = kept.get(path) ?? fetched(path);
  kept.delete(path);  // and to the end: that which was asked for last is kept longest
  kept.set(path, one);
  one.wanted++;
  signal?.addEventListener("abort", () => { if (--one.wanted === 0 && one.start) one.drop(); }, { once: true });
  if (now) one.start?.();
  else next();
  return one.made;
}

function fetched(path) {
  const one = { wanted: 0 };
  one.made = new Promise((resolve, reject) => {
    one.start = () => {
      one.start = null;
      running++;
      read(path).then(resolve, reject).finally(() => { running--; next(); });
    };
    one.drop = () => { one.start = null; kept.delete(path); reject(new DOMException("nobody waits for it", "AbortError")); };
  });
  one.made.catch(() => { if (kept.get(path) === one) kept.delete(path); });
  const [oldest, gone] = kept.entries().next().value ?? [];
  if (kept.size >= MOST_KEPT && !gone.start) {
    kept.delete(oldest);
    gone.made.then(({ url }) => player.url !== url && URL.revokeObjectURL(url), () => {});
  }
  return one;
}

const local = new Map();

/** The path of a file of this computer, as `sound` takes it. */
export function localPath(file) {
  const path = `local:${local.size + 1}`;
  local.set(path, file);
  return path;
}

async function read(path) {
  if (local.has(path)) return opened(local.get(path));
  const bytes = await (await send(path)).arrayBuffer();
  return { url: URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })), ...outline(bytes) };
}

export const RATE = 16000;

/** Samples (-1 to 1) at `RATE` Hz of what `path` names; of several channels, of the first. */
export const samples = async (path) => decoded(await (local.get(path) ?? await send(path)).arrayBuffer()).then((made) => made.getChannelData(0));

const decoded = (bytes) => new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);

/** A file of this computer; what the browser cannot decode has no outline, and may play all the same. */
async function opened(file) {
  const made = await decoded(await file.arrayBuffer());
  return { url: URL.createObjectURL(file), duration: made.duration, peaks: largest(made.getChannelData(0), 2000, 1) };
}

function next() {
  for (const one of kept.values()) {
    if (running >= AT_ONCE) return;
    one.start?.();
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

function largest(samples, most, full = 32768) {
  const count = Math.max(1, Math.min(most, Math.floor(samples.length / 8)));
  const peaks = new Float32Array(count);
  for (let part = 0; part < count; part++) {
    const [from, to] = [Math.floor((part * samples.length) / count), Math.floor(((part + 1) * samples.length) / count)];
    let most = 0;
    for (let i = from; i < to; i++) most = Math.max(most, Math.abs(samples[i]));
    peaks[part] = most / full;
  }
  return peaks;
}

/** The one player of the page. Tells `change`, while it plays `tick`, and `ended` where a sound ends by itself. */
class Player extends EventTarget {
  constructor() {
    super();
    this.audio = new Audio();
    this.key = null;
    this.wanted = 0;
    this.from = null;
    this.url = "";
    this.audio.addEventListener("ended", () => this.stop(true));
    this.audio.addEventListener("error", () => this.url && this.stop());
  }

  /** Whether `key` plays or is about to. */
  plays(key) { return this.key === key; }

  /** Seconds into the sound; before it is there, where it will begin. */
  get time() { return this.from ?? this.audio.currentTime; }

  /** Play what `path` names, from `at` seconds on, under a name; what played before ends. */
  async play(key, path, at = 0) {
    const turn = ++this.wanted;
    this.audio.pause();
    this.key = key;
    this.from = at;
    this.#tell("change");
    try {
      const { url } = await sound(path, { now: true });
      if (turn !== this.wanted) return;
      this.url = url;
      this.audio.src = url;
      this.audio.currentTime = at;
      this.from = null;
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
    if (ended) this.dispatchEvent(new CustomEvent("ended", { detail: was }));
    if (this.key === null) this.#tell("change");  // else whoever was told it ended has played on
  }

  #tick(turn) {
    if (turn !== this.wanted) return;
    this.#tell("tick");
    requestAnimationFrame(() => this.#tick(turn));
  }

  #tell(what) { this.dispatchEvent(new Event(what)); }
}

export const player = new Player();

const followers = new Set();

/**
 * Tell an element what the player does (`change`, `tick`) for as long as it is in the page. Sounds
 * with a key that is `mine` end when the last element that owns them has left.
 */
export function follow(element, { change = () => {}, tick = () => {}, mine = () => false }) {
  const one = { element, change, tick, mine, shown: false };
  followers.add(one);
  requestAnimationFrame(() => { one.shown = true; });
}

for (const what of ["change", "tick"]) {
  player.addEventListener(what, () => { for (const one of followers) if (one.element.isConnected) one[what](); });
}

new MutationObserver((records) => {
  if (!records.some((one) => one.removedNodes.length)) return;
  const left = [...followers].filter((one) => one.shown && !one.element.isConnected);
  for (const one of left) followers.delete(one);
  const owns = (one) => player.key !== null && one.mine(player.key);
  if (left.some(owns) && ![...followers].some(owns)) player.stop();
}).observe(document.getElementById("main"), { childList: true, subtree: true });
