// A stretch of a recording in figures: to mark it, hear from its start, and find voices like it.

import { fill, h, icon, clock, refill, seconds } from "./dom.js";
import { spanOf } from "./query.js";
import { t } from "./words.js";

/**
 * `{element, tell(span)}` for a recording with these lanes; handlers {mark(span), hear(seconds)}.
 * A span is `{start, end, channel}`, channel null for all of them; null for none.
 */
export function stretchDesk(recording, lanes, handlers) {
  const field = (title, hint) => h("input", { type: "text", inputmode: "decimal", size: 7, autocomplete: "off", placeholder: hint, "aria-label": title, oninput: (event) => event.target.setCustomValidity("") });
  const [from, to] = [field(t("From"), "0:12.5"), field(t("To"), clock(recording.duration))];
  const named = lanes.filter((one) => one.channel !== null);
  const channel = h("select", { "aria-label": t("Channel") }, h("option", { value: "" }, t("all channels")),
    named.map((one) => h("option", { value: one.channel }, one.name)));
  const marked = h("span.row", {});

  /** Seconds of a field; null, and said why, if it has none. */
  function read(input, least) {
    const at = seconds(input.value);
    const wrong = Number.isNaN(at) ? t("Write seconds, or minutes and seconds such as 1:23.5.")
      : at > recording.duration ? t("The recording ends at {time}.", { time: clock(recording.duration, true) })
      : at <= least ? t("It must be later than the start.") : "";
    input.setCustomValidity(wrong);
    return input.reportValidity() ? at : null;
  }
  function mark() {
    const start = read(from, -1);
    const end = start === null ? null : read(to, start);
    if (end !== null) handlers.mark({ start, end, channel: channel.value === "" ? null : Number(channel.value) });
  }
  const element = h("form.row.cutbar", { "aria-label": t("Stretch"), onsubmit: (event) => { event.preventDefault(); mark(); } },
    h("span", {}, t("Stretch")), from, "–", to, named.length > 1 && channel,
    h("button", { type: "button", onclick: () => { const at = read(from, -1); if (at !== null) handlers.hear(Math.min(at, recording.duration - 0.01)); } }, icon("play"), t("Play from")),
    h("button", { type: "submit" }, t("Mark")), marked);
  return {
    element,
    tell(span) {
      if (!span) { refill(marked, [], from); return; }
      from.value = clock(span.start, true);
      to.value = clock(span.end, true);
      channel.value = span.channel ?? "";
      const address = spanOf({ recording: recording.recording, start: span.start.toFixed(2), end: span.end.toFixed(2), channel: named.length > 1 ? span.channel : null });
      fill(marked,
        h("a.button.primary", { href: `#/search?span=${address}` }, icon("search"), t("Find alike")),
        h("button", { type: "button", onclick: () => handlers.mark(null) }, t("Clear")));
    },
  };
}
