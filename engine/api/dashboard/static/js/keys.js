// Keys of the page that is shown, and the help that lists them.

import { h } from "./dom.js";

let bound = [];

/** Bind `[{keys: ["j"], does: "next clip", run}]` until the next page. */
export function bind(shortcuts) { bound = shortcuts; }

const typing = (element) => element.closest("input:not([type=checkbox]):not([type=range]):not([type=radio]), textarea, select, dialog, [contenteditable]");

export function install() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "?") { event.preventDefault(); help(); return; }
    const name = event.key === " " ? "space" : event.key;
    if (name === "space" && event.target.closest("button, a, summary, input")) return;
    const found = bound.find((one) => one.keys.includes(name));
    if (!found) return;
    event.preventDefault();
    found.run(name);
  });
}

/** Show what the keys do. */
export function help() {
  if (document.querySelector("dialog[open]")) return;
  const rows = [...bound, { keys: ["?"], does: "this help" }, { keys: ["Tab"], does: "next control" }];
  const dialog = h("dialog.help", { "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keyboard"),
    h("dl", {}, rows.map((one) => h("div", {},
      h("dt", {}, (one.shown ?? one.keys).map((key) => h("kbd", {}, key))),
      h("dd", {}, one.does)))),
    h("div.row.end", {}, h("button.primary", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
