// Turning points: when one emotion rises and another falls.

import { h, clock } from "./dom.js";
import { dot, named } from "./emotions.js";
import { t } from "./words.js";

const MOST = 40;

/** The turning points of channels in the order of time, each to be heard from; null if there is none. */
export function turnList(channels, hear, heading = "h3") {
  const found = channels.flatMap((one) => one.turning_points.map((turn) => ({ ...turn, who: one.channel_name })));
  if (!found.length) return null;
  return h("section.turns", {}, h(heading, {}, t("Turning points")), h("ul", {}, found.sort((a, b) => a.time - b.time).slice(0, MOST).map((turn) =>
    h("li", {}, h("button.quiet", { type: "button", onclick: () => hear(Math.max(0, turn.time - 2)) }, clock(turn.time)),
      dot(turn.rises), t("{emotion} rises, ", { emotion: named(turn.rises) }), dot(turn.falls), t("{emotion} falls", { emotion: named(turn.falls) }), turn.who ? ` (${turn.who})` : ""))));
}
