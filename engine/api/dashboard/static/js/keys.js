// Keys of the page that is shown, and the help that lists them.

import { h } from "./dom.js";
import { t } from "./words.js";

let bound = [];

/** Bind `[{keys: ["j"], does: "next clip", run}]` until the next page. */
export function bind(shortcuts) { bound = shortcuts; }

// Controls that have a use of their own for keys; of arrows alone what scrolls by them, of space
// what it presses (but a row of a list: pressing it has chosen it already).
const typing = (element) => element.closest("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
const scrolls = (element) => element.closest(".scroll");
const presses = (element) => element.closest("button:not(.pick), a, summary, input");

export function install() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") { event.preventDefault(); help(); return; }
    const name = event.key === " " ? "space" : event.key;
    if (name === "space" && presses(event.target)) return;
    if (name.startsWith("Arrow") && scrolls(event.target)) return;
    const found = bound.find((one) => one.keys.includes(name));
    if (!found) return;
    event.preventDefault();
    found.run(name);
  });
}

/** Show what the keys do. */
export function help() {
  if (document.querySelector("dialog[open]")) return;
  const rows = [...bound, { keys: ["?"], does: t("this help") }, { keys: ["Tab"], does: t("next control") }];
  const dialog = h("dialog.help", { "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, t("Keyboard")),
    h("dl", {}, rows.map((one) => h("div", {},
      h("dt", {}, (one.shown ?? one.keys).map((key) => h("kbd", {}, key))),
      h("dd", {}, one.does)))),
    h("div.row.end", {}, h("button.primary", { type: "button", onclick: () => dialog.close() }, t("Close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
