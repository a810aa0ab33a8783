// Emotions: one colour and one symbol for each, whatever the model or a label calls it.
// Colours are those of Okabe and Ito, which people with any kind of colour vision tell apart.

import { h, token } from "./dom.js";
import { percent, t } from "./words.js";

const FAMILIES = {
  anger: ["anger", "angry"],
  happiness: ["happiness", "happy", "joy"],
  surprise: ["surprise", "surprised"],
  fear: ["fear", "fearful"],
  sadness: ["sadness", "sad"],
  disgust: ["disgust", "disgusted"],
  neutral: ["neutral", "calm"],
  other: ["other", "<unk>", "unk", "unknown"],
};
const ORDER = Object.keys(FAMILIES);
const FAMILY = new Map(Object.entries(FAMILIES).flatMap(([family, names]) => names.map((name) => [name, family])));
const SPARE = 6;
export const SYMBOLS = ["circle", "diamond", "triangle-up", "star", "square", "cross", "x", "hexagon", "triangle-down", "pentagon"];

/** A class without its other name: of a pair such as 生气/angry the second part. */
export const plain = (name) => name.split("/").pop();

const NOUNS = { angry: "anger", bored: "boredom", disgusted: "disgust", fearful: "fear", happy: "happiness", joy: "happiness", sad: "sadness", surprised: "surprise", unk: "unknown", "<unk>": "unknown" };

/** What an emotion is called on screen, whatever the model or a label calls it. */
export function named(name) {
  const one = plain(name);
  return t(NOUNS[one.toLowerCase()] ?? one);
}

/** The family of an emotion; null for a name that is none. */
export const family = (name) => FAMILY.get(plain(name).toLowerCase()) ?? null;

function spare(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % SPARE;
}

/** The name of the custom property that holds an emotion's or any label's colour. */
export const colourName = (name) => (family(name) ? `--emotion-${family(name)}` : `--spare-${spare(name)}`);

/** Its colour in the theme in force, for canvases. */
export const colour = (name) => token(colourName(name));

/** Its marker on the map. */
export const symbol = (name) => SYMBOLS[family(name) ? ORDER.indexOf(family(name)) : (8 + spare(name)) % SYMBOLS.length];

/** Classes in an order that stays: by family, then by name. */
export function sorted(names) {
  const place = (name) => (family(name) ? ORDER.indexOf(family(name)) : ORDER.length);
  return [...names].sort((a, b) => place(a) - place(b) || plain(a).localeCompare(plain(b)));
}

/** The class with the highest score, and the score; null without scores. */
export function top(scores) {
  const best = Object.entries(scores).sort((a, b) => b[1] - a[1])[0];
  return best ? { name: best[0], score: best[1] } : null;
}

/** Scores in words: the three highest. */
export function inWords(scores) {
  const best = Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, 3);
  return best.map(([name, score]) => `${named(name)} ${percent(score)}`).join(t(", "));
}

/** A dot of an emotion's colour. */
export const dot = (name) => h("span.dot", { style: { "--c": `var(${colourName(name)})` }, "aria-hidden": "true" });

/** What a clip counts as whose highest score is below `least`. */
export const UNCERTAIN = t("uncertain");

/** What stands for scores where the archive's model has none. */
export const scoreless = () => h("p.hint", {}, t("The model gives no emotion scores."));

/** A stacked bar of scores, with its highest ones in words; below the score `least` it says uncertain. */
export function emotionBar(scores, least) {
  const names = sorted(Object.keys(scores));
  if (!names.length) return scoreless();
  const total = names.reduce((sum, name) => sum + scores[name], 0) || 1;
  const best = Object.entries(scores).sort((a, b) => b[1] - a[1]).filter((one, rank) => rank === 0 || one[1] >= 0.1).slice(0, 3);
  return h("div.emotions", {},
    h("div.bar", { role: "img", "aria-label": t("Heard by the model: {scores}", { scores: inWords(scores) }) },
      names.filter((name) => scores[name] / total >= 0.004).map((name) =>
        h("span", { title: `${named(name)} ${percent(scores[name])}`, style: { "--c": `var(${colourName(name)})`, "flex-grow": scores[name] / total } }))),
    best[0][1] < least && h("p.hint", { title: t("No score reaches {least}", { least: percent(least) }) }, UNCERTAIN),
    h("p.legend", { "aria-hidden": "true" }, best.map(([name, score]) =>
      h("span", {}, dot(name), named(name), h("b", {}, percent(score))))));
}
