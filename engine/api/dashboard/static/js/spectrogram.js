// A spectrogram, drawn when it is asked for: short-time Fourier transform of the sound, in decibels.

import { RATE, samples } from "./audio.js";
import { fill, h, token } from "./dom.js";
import { missing } from "./problems.js";
import { number, t } from "./words.js";

const SIZE = 512;  // samples of a window
const MOST_COLUMNS = 900;
const RANGE_DB = 70;  // below the loudest that is drawn

/** A part that opens: what the sound at `path` has at which frequency. */
export function spectrogram(path, name) {
  const place = h("div");
  const canvas = h("canvas.spectrogram", { role: "img", "aria-label": t("Spectrogram of {name}", { name }) });
  let levels = null;
  const draw = () => levels && paint(canvas, levels);
  canvas.addEventListener("themechange", draw);
  async function open() {
    if (levels) return;
    try {
      levels = columns(await samples(path));
      fill(place, canvas, h("p.hint", {}, t("Time to the right, frequency upwards: 0 to {n} kHz.", { n: number(RATE / 2000) })));
      draw();
      canvas.dataset.ready = "yes";
    } catch (error) {
      fill(place, missing(t("No spectrogram"), error));
    }
  }
  return h("details", { ontoggle: (event) => event.target.open && open() }, h("summary", {}, t("Spectrogram")), place);
}

/** Levels (0 to 1) of each column, from 0 Hz up to half of the rate. */
export function columns(sound) {
  const step = Math.max(SIZE / 4, Math.ceil((sound.length - SIZE) / MOST_COLUMNS));
  const window = Float64Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
  const found = [];
  for (let at = 0; at === 0 || at + SIZE <= sound.length; at += step) {
    const [re, im] = [window.map((one, i) => one * (sound[at + i] ?? 0)), new Float64Array(SIZE)];
    transform(re, im);
    found.push(Float64Array.from({ length: SIZE / 2 }, (_, i) => 10 * Math.log10(re[i] ** 2 + im[i] ** 2 + 1e-12)));
  }
  const loudest = found.reduce((most, one) => Math.max(most, ...one), -Infinity);
  return found.map((one) => one.map((level) => Math.max(0, 1 + (level - loudest) / RANGE_DB)));
}

/** The discrete Fourier transform of a power of two of numbers, in place (Cooley and Tukey 1965). */
function transform(re, im) {
  const count = re.length;
  for (let i = 1, j = 0; i < count; i++) {
    let bit = count >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let half = 1; half < count; half *= 2) {
    for (let first = 0; first < half; first++) {
      const [cos, sin] = [Math.cos((-Math.PI * first) / half), Math.sin((-Math.PI * first) / half)];
      for (let a = first; a < count; a += 2 * half) {
        const b = a + half;
        const [x, y] = [re[b] * cos - im[b] * sin, re[b] * sin + im[b] * cos];
        [re[b], im[b], re[a], im[a]] = [re[a] - x, im[a] - y, re[a] + x, im[a] + y];
      }
    }
  }
}

function paint(canvas, levels) {
  [canvas.width, canvas.height] = [levels.length, SIZE / 2];
  const pen = canvas.getContext("2d");
  const picture = pen.createImageData(levels.length, SIZE / 2);
  const ink = token("--accent").match(/\d+/g).slice(0, 3).map(Number);
  levels.forEach((column, x) => column.forEach((level, place) => {
    picture.data.set([...ink, 255 * level], 4 * ((SIZE / 2 - 1 - place) * levels.length + x));
  }));
  pen.putImageData(picture, 0, 0);
}
