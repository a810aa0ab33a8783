// A clip as a card: hear it, see what the model hears in it, go on from it.

import { h, icon, clock } from "./dom.js";
import { dot, emotionBar, named } from "./emotions.js";
import { playButton, wave } from "./wave.js";
import { amount, day, t } from "./words.js";

/** What a clip is called where its name must be told in a line. */
export const called = (clip) => (clip.start > 0 ? t("{file} from {time}", { file: clip.file, time: clock(clip.start) }) : clip.file);

/** Where a clip is shown within its recording. */
export const placeOf = (clip) => `#/recordings/${clip.recording}?clip=${clip.clip}`;

/** A clip, or a hit with its rank; `go(example)` searches on from it; below the score `least` it is uncertain. */
export function card(clip, { rank, go, least, asked = false }) {
  const key = `clip-${clip.clip}`;
  const name = called(clip);
  const length = clip.end - clip.start;
  return h("li.card", { dataset: { clip: clip.clip } },
    h("div.sound", {}, playButton(key, clip.audio, name), wave(key, clip.audio, name), h("span.length", {}, amount(length))),
    h("div.head", {},
      h("h3", {}, rank && h("span.rank", { "aria-hidden": "true" }, rank), h("a", { href: placeOf(clip) }, clip.file)),
      h("span.span", {}, `${clock(clip.start, true)} – ${clock(clip.end, true)}`)),
    clip.similarity !== undefined && likeness(clip),
    emotionBar(clip.scores, least),
    facts(clip),
    h("div.actions", {},
      asked
        ? [action("more", t("More like this"), name, () => go({ clip: clip.clip, against: false })),
          action("less", t("Less like this"), name, () => go({ clip: clip.clip, against: true }))]
        : action("search", t("Find alike"), name, () => go({ clip: clip.clip, against: false }))));
}

function action(picture, text, name, run) {
  return h("button.quiet", { type: "button", "aria-label": `${text}: ${name}`, onclick: run }, icon(picture), text);
}

function likeness(hit) {
  const share = Math.max(0, Math.min(1, hit.similarity));
  return h("div.likeness", {},
    h("div.meter", { role: "img", "aria-label": t("Similarity {n}", { n: hit.similarity.toFixed(3) }) }, h("span", { style: { width: `${share * 100}%` } })),
    h("span.figure", { title: t("Cosine similarity to the query") }, hit.similarity.toFixed(3)),
    hit.percentile !== null && h("span.percentile", { title: t("So many of the archive's random pairs of clips are less alike") },
      t("closer than {n} % of pairs", { n: nearly(hit.percentile) })));
}

const nearly = (percentile) => (percentile > 99.9 ? "99.9" : percentile.toFixed(1));

/** What is known about a clip: label, source, speaker, channel, date. */
export function facts(clip) {
  const labels = Object.entries(clip.labels);
  const known = [clip.source, clip.speaker, clip.channel_name ?? (clip.channel === null ? null : t("channel {n}", { n: clip.channel })), clip.recorded_at && day(clip.recorded_at)];
  return h("p.facts", {},
    labels.length
      ? labels.map(([task, value]) => h("span.label", { title: t("{task}, given by a person", { task }) }, dot(value), task === "emotion" ? named(value) : `${task}: ${value}`))
      : h("span.unlabelled", {}, t("no label")),
    known.filter(Boolean).map((one) => h("span", {}, one)));
}
