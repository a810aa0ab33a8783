// Bars: a name, a bar and a figure in each row, for scores and for counts.

import { h } from "./dom.js";
import { colourName, dot, named } from "./emotions.js";
import { percent } from "./words.js";

/** Rows `{name, share, figure, press}`: `share` 0 to 1 is the bar's length, `press` makes a button of it. */
export function bars(rows, label) {
  return h("ul.bars", { "aria-label": label }, rows.map(({ name, share, figure, press, title }) => {
    const cells = [
      h("span", {}, dot(name), named(name)),
      h("span.track", {}, h("span", { style: { width: `${100 * share}%`, "--c": `var(${colourName(name)})` } })),
      h("small", {}, figure)];
    return h("li", {}, press ? h("button.bar-row", { type: "button", title, onclick: press }, cells) : h("div.bar-row", { title }, cells));
  }));
}

/** All scores of a clip, the highest first. */
export const scoreBars = (scores, label) => bars(
  Object.entries(scores).sort((a, b) => b[1] - a[1]).map(([name, score]) => ({ name, share: score, figure: percent(score) })), label);
