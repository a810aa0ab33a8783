// Elements made by calls. Text is always text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "rect", "g", "circle", "line"]);

/** An element: `h("button.primary", {onclick, "aria-label": "Play"}, "text", child)`. */
export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const made = SVG_TAGS.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [name, one] of Object.entries(value)) made.style.setProperty(name, one);
    else if (key === "dataset") Object.assign(made.dataset, value);
    else if (["value", "checked", "disabled", "selected", "hidden", "open", "indeterminate"].includes(key)) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  return fill(made, ...children);
}

// Characters that show nothing, or turn the text around them: in a file's name they could make it look like another.
const UNSEEN = /[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Replace what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (typeof one === "string" ? one.replace(UNSEEN, "\ufffd") : one)));
  return element;
}

const ICONS = {
  play: "M7 4.500v15l13-7.500z",
  stop: "M6 6h12v12H6z",
  more: "M12 5v14M5 12h14",
  less: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  record: "M12 4.500a7.500 7.500 0 1 0 0 15a7.500 7.500 0 1 0 0-15z",
  file: "M12 16V4M7 9l5-5 5 5M5 20h14",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 1 0 0-14zM16 16l5 5",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500L19 19M5 19l1.500-1.500M17.500 6.500L19 5",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  auto: "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18zM12 3v18",
  key: "M8 11a4 4 0 1 0 0 8a4 4 0 1 0 0-8zM11 12l8-8M16 7l3 3",
  link: "M10 14a4 4 0 0 0 6 0l4-4a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-4 4a4 4 0 0 0 6 6l1-1",
};
const FILLED = new Set(["play", "stop", "record"]);

const CONTROLS = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), [tabindex]";
const controls = (element) => [...element.querySelectorAll(CONTROLS)].filter((one) => !one.closest("[hidden]"));
const nameOf = (one) => [one.tagName, one.name, one.type === "checkbox" && one.value, one.getAttribute("aria-label") ?? one.textContent].join(" ");

/**
 * Replace what an element holds without losing the keyboard's place: what replaces the focused
 * control gets the focus, told by its name; else `otherwise`, else what stands in its place.
 */
export function refill(element, children, otherwise = null) {
  const at = element.contains(document.activeElement) ? document.activeElement : null;
  const [name, place] = at ? [nameOf(at), controls(element).indexOf(at)] : [];
  fill(element, children);
  if (!at || document.activeElement === at) return element;
  const there = controls(element);
  const found = there.find((one) => one === at) ?? there.find((one) => nameOf(one) === name) ?? otherwise ?? there[Math.max(0, Math.min(place, there.length - 1))];
  (found ?? document.getElementById("main")).focus({ preventScroll: true });
  return element;
}

/** A small picture that says nothing to screen readers. */
export function icon(name) {
  return h("svg.pic", { viewBox: "0 0 24 24", "aria-hidden": "true", "data-filled": FILLED.has(name) },
    h("path", { d: ICONS[name] }));
}

/** A message that goes away, maybe with a button; errors stay longer. */
export function toast(text, kind = "info", button = null) {
  const message = h(`p.toast.${kind}`, {}, text, button);
  document.getElementById("toasts").append(message);
  setTimeout(() => message.remove(), kind === "error" ? 9000 : 4000);
}

/** Seconds as m:ss or h:mm:ss, with tenths if `fine`. */
export function clock(seconds, fine = false) {
  const tenths = Math.round(seconds * 10);
  const whole = Math.floor(fine ? tenths / 10 : seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, "0") + (fine ? `.${tenths % 10}` : "");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Seconds out of "83.5", "1:23.5" or "1:02:03"; NaN if it is none of them. */
export function seconds(text) {
  const parts = /^\s*(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)\s*$/.exec(text);
  return parts ? Number(parts[1] ?? 0) * 3600 + Number(parts[2] ?? 0) * 60 + Number(parts[3].replace(",", ".")) : NaN;
}

/** A colour of the theme in force, by its custom property, as a canvas takes it. */
export function token(name) {
  if (name.startsWith("--")) probe.style.setProperty("color", `var(${name})`);
  if (!probe.isConnected) document.body.append(probe);
  return getComputedStyle(probe).color;
}
const probe = h("span", { hidden: true });
