// Waveforms: an outline on a canvas, with what was played of it in another colour.

import { follow, player, sound } from "./audio.js";
import { h, icon, token } from "./dom.js";
import { sayFailure } from "./problems.js";
import { t } from "./words.js";

/** Draw an outline (0 to 1) as bars; `played` is the part that was played. */
export function draw(canvas, peaks, played = 0) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width) return;
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = width * dense;
  canvas.height = height * dense;
  const pen = canvas.getContext("2d");
  pen.scale(dense, dense);
  const bars = Math.max(1, Math.floor(width / 3));
  const [rest, accent] = [token("--wave"), token("--accent")];
  const loudest = Math.max(0.05, peaks.reduce((most, one) => Math.max(most, one), 0));
  for (let bar = 0; bar < bars; bar++) {
    const from = Math.floor((bar * peaks.length) / bars);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / bars));
    let peak = 0;
    for (let i = from; i < to; i++) peak = Math.max(peak, peaks[i]);
    const tall = Math.max(2, (peak / loudest) * (height - 2));
    pen.fillStyle = (bar + 0.5) / bars < played ? accent : rest;
    pen.beginPath();
    pen.roundRect(bar * 3, (height - tall) / 2, 2, tall, 1);
    pen.fill();
  }
}

/** A round button that plays the audio at `path` and shows that it does. */
export function playButton(key, path, name) {
  const button = h("button.play", {
    type: "button",
    "aria-label": t("Play {name}", { name }),
    onclick: () => player.toggle(key, path).catch(sayFailure),
  }, icon("play"));
  const tell = () => {
    const plays = player.plays(key);
    if (button.classList.contains("playing") === plays) return;
    button.classList.toggle("playing", plays);
    button.setAttribute("aria-label", plays ? t("Stop {name}", { name }) : t("Play {name}", { name }));
    button.replaceChildren(icon(plays ? "stop" : "play"));
  };
  follow(button, { change: tell, mine: (one) => one === key });
  tell();
  return button;
}

/**
 * A clip's waveform, fetched while it is in view; a click on it plays from there. It is painted
 * anew on a `themechange`.
 */
export function wave(key, path, name) {
  const canvas = h("canvas.wave", { role: "img", "aria-label": t("Waveform of {name}", { name }) });
  let decoded = null;
  let looking = null;
  const paint = () => decoded && draw(canvas, decoded.peaks, player.plays(key) ? player.time / decoded.duration : 0);
  const seen = new IntersectionObserver((entries) => {
    if (!entries.at(-1).isIntersecting) { looking?.abort(); looking = null; return; }
    looking ??= new AbortController();
    sound(path, { signal: looking.signal }).then(
      (found) => { decoded = found; canvas.dataset.ready = "yes"; seen.disconnect(); paint(); },
      (error) => {
        if (error.name === "AbortError") return;
        seen.disconnect();
        canvas.dataset.ready = "failed";
        canvas.setAttribute("aria-label", t("The audio of {name} is not there", { name }));
      });
  }, { rootMargin: "200px" });
  seen.observe(canvas);
  new ResizeObserver(paint).observe(canvas);
  follow(canvas, { change: paint, tick: () => player.plays(key) && paint() });
  canvas.addEventListener("themechange", paint);
  canvas.addEventListener("click", (event) => {
    if (!decoded) return;
    const part = event.offsetX / canvas.clientWidth;
    player.play(key, path, part * decoded.duration).catch(sayFailure);
  });
  return canvas;
}
