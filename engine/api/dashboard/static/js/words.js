// Words, numbers and dates in the reader's language: English as the code has it, or the catalogue of
// another one, as the browser prefers or the switch at the top says.

const CATALOGUES = { zh: () => Promise.all([import("./words/zh.js"), import("./words/zh-server.js")]) };
export const LANGUAGES = { en: "English", zh: "中文" };

const wanted = localStorage.getItem("language") ?? navigator.language.slice(0, 2);
export const language = wanted in LANGUAGES ? wanted : "en";
const [catalogue, server] = ((await CATALOGUES[language]?.()) ?? [{}, {}]).map((one) => one.default ?? {});

/** A text in the reader's language, with `{name}` replaced by the value of that name. */
export function t(text, values = {}) {
  return (catalogue[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A text as a pattern; a file's name at its beginning may be missing.
const patternOf = (text) => new RegExp(`^${text.replace(/[$()*+.?[\\\]^|]/g, "\\$&").replace(/^\{file\} /, "(?:(?<file>.+?) )?").replace(/\{(\w+)\}/g, "(?<$1>.*?)")}$`, "s");
const patterns = Object.entries(server).map(([text, ours]) => [patternOf(text), ours]);

/** A sentence of the server's in the reader's language; as it is where the catalogue has none like it. */
export function translated(text) {
  for (const [pattern, ours] of patterns) {
    const found = pattern.exec(text);
    if (found) return ours.replace(/\{(\w+)\}/g, (_, name) => translated(found.groups[name] ?? "")).trim();
  }
  return text;
}

/** So many of something: `plural(3, "clip")`; catalogues have it under "{n} clips". */
export function plural(count, one, many = `${one}s`) {
  const known = catalogue[`{n} ${many}`];
  return (known ?? `{n} ${count === 1 ? one : many}`).replace("{n}", number(count));
}

const locale = language === "en" ? "en-GB" : "zh-CN";
const decimal = (digits) => ({ minimumFractionDigits: digits, maximumFractionDigits: digits });

export const number = (value, digits = 0) => value.toLocaleString(locale, digits ? decimal(digits) : {});
export const percent = (value) => (language === "en" ? `${Math.round(value * 100)} %` : `${Math.round(value * 100)}%`);

/** A day of UTC, as it is written everywhere; `short` without the year. */
export const day = (moment, short = false) => new Date(moment).toLocaleDateString(locale, { day: "numeric", month: "short", year: short ? undefined : "numeric", timeZone: "UTC" });

/** A moment, in the reader's own zone. */
export const moment = (text) => new Date(text).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });

/** Seconds of audio in words. */
export function amount(seconds) {
  if (seconds < 90) return t("{n} s", { n: number(seconds, 1) });
  if (seconds < 5400) return t("{n} min", { n: number(seconds / 60, 1) });
  return t("{n} h", { n: number(seconds / 3600, 1) });
}

document.documentElement.lang = language === "en" ? "en" : "zh-CN";
