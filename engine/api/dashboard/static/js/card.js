// A clip as a card: hear it, see what the model hears in it, go on from it.

import { h, icon, clock } from "./dom.js";
import { emotionBar, dot } from "./emotions.js";
import { playButton, wave } from "./wave.js";
import { day } from "./words.js";

/** What a clip is called where its name must be told in a line. */
export const called = (clip) => `${clip.file}${clip.start > 0 ? ` from ${clock(clip.start)}` : ""}`;

/** Where a clip is shown within its recording. */
export const placeOf = (clip) => `#/recordings/${clip.recording}?clip=${clip.clip}`;

/** A clip, or a hit with its rank; `go(example)` searches on from it; below the score `least` it is uncertain. */
export function card(clip, { rank, go, least, asked = false }) {
  const key = `clip-${clip.clip}`;
  const name = called(clip);
  const length = clip.end - clip.start;
  return h("li.card", { dataset: { clip: clip.clip } },
    h("div.sound", {}, playButton(key, clip.audio, name), wave(key, clip.audio, name), h("span.length", {}, `${length.toFixed(1)} s`)),
    h("div.head", {},
      h("h3", {}, rank && h("span.rank", { "aria-hidden": "true" }, rank), h("a", { href: placeOf(clip) }, clip.file)),
      h("span.span", {}, `${clock(clip.start, true)} – ${clock(clip.end, true)}`)),
    clip.similarity !== undefined && likeness(clip),
    emotionBar(clip.scores, least),
    facts(clip),
    h("div.actions", {},
      asked
        ? [action("more", "More like this", `More like ${name}`, () => go({ clip: clip.clip, against: false })),
          action("less", "Less like this", `Less like ${name}`, () => go({ clip: clip.clip, against: true }))]
        : action("search", "Find alike", `Find clips that sound like ${name}`, () => go({ clip: clip.clip, against: false }))));
}

function action(picture, text, name, run) {
  return h("button.quiet", { type: "button", "aria-label": name, onclick: run }, icon(picture), text);
}

function likeness(hit) {
  const share = Math.max(0, Math.min(1, hit.similarity));
  return h("div.likeness", {},
    h("div.meter", { role: "img", "aria-label": `Similarity ${hit.similarity.toFixed(3)}` }, h("span", { style: { width: `${share * 100}%` } })),
    h("span.figure", { title: "Cosine similarity to the query" }, hit.similarity.toFixed(3)),
    hit.percentile !== null && h("span.percentile", { title: "So many of the archive's random pairs of clips are less alike" },
      `closer than ${nearly(hit.percentile)} % of pairs`));
}

const nearly = (percentile) => (percentile > 99.9 ? "99.9" : percentile.toFixed(1));

/** What is known about a clip: label, source, speaker, channel, date. */
export function facts(clip) {
  const labels = Object.entries(clip.labels);
  const said = [clip.source, clip.speaker, clip.channel_name ?? (clip.channel === null ? null : `channel ${clip.channel}`), clip.recorded_at && day(clip.recorded_at)];
  return h("p.facts", {},
    labels.length
      ? labels.map(([task, value]) => h("span.label", { title: `${task}, said by a person` }, dot(value), task === "emotion" ? value : `${task}: ${value}`))
      : h("span.unlabelled", {}, "no label"),
    said.filter(Boolean).map((one) => h("span", {}, one)));
}
