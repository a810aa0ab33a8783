// Asks for the API's key. It is kept for this tab alone, until the tab is closed.

import { h } from "./dom.js";

let asking = null;

/** Whether there is another key to try than `used`: asks for it, once for all that wait. */
export function askForKey(detail, used) {
  const now = sessionStorage.getItem("key");
  if (now !== used) return Promise.resolve(true);
  asking ??= ask(detail, used).finally(() => { asking = null; });
  return asking;
}

function ask(detail, used) {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", id: "key-field", autocomplete: "off", required: true, spellcheck: "false" });
    let given = false;
    const dialog = h("dialog.ask", { "aria-labelledby": "key-title" },
      h("form", {
        onsubmit: (event) => {
          event.preventDefault();
          sessionStorage.setItem("key", field.value.trim());
          given = true;
          dialog.close();
        },
      },
        h("h2", { id: "key-title" }, used ? "That key is not in force" : "This archive needs a key"),
        h("p", {}, "Ask whoever runs the server, or make one there: ",
          h("code", {}, "emotion-search key create --name dashboard --scope write")),
        h("label", { for: "key-field" }, "Key"),
        field,
        h("p.hint", {}, "Kept for this tab until it is closed; sent to this server only."),
        h("div.row.end", {},
          h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
          h("button.primary", { type: "submit" }, "Use key"))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(given); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
