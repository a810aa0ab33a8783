// Asks for the API's key. It is kept for this tab alone, until the tab is closed.

import { h } from "./dom.js";
import { t } from "./words.js";

let asking = null;

/** Whether there is another key to try than `used`: asks for it, once for all that wait. */
export function askForKey(used) {
  const now = sessionStorage.getItem("key");
  if (now !== used) return Promise.resolve(true);
  asking ??= ask(used ? t("That key is not in force") : t("This archive needs a key"), used).finally(() => { asking = null; });
  return asking;
}

/** Ask for a key in place of the one in use; once it is given, the page is shown anew with it. */
export async function replaceKey() {
  asking ??= ask(t("Use another key")).finally(() => { asking = null; });
  if (await asking) document.dispatchEvent(new Event("keychange"));
}

/** A button that does so. */
export const replaceButton = () => h("button", { type: "button", onclick: replaceKey }, t("Use another key"));

// A reload, so that nothing that the key has opened stays in memory.
function forget() {
  sessionStorage.removeItem("key");
  location.reload();
}

function ask(title, used = null) {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", id: "key-field", autocomplete: "off", required: true, pattern: ".*\\S.*", spellcheck: "false", value: used ?? "" });
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
        h("h2", { id: "key-title" }, title),
        h("p", {}, t("Ask whoever runs the server, or make one there: "),
          h("code", {}, "emotion-search key create --name dashboard --scope write")),
        h("label", { for: "key-field" }, t("Key")),
        field,
        h("p.hint", {}, t("Kept for this tab until it is closed; sent to this server only.")),
        h("div.row.end", {},
          sessionStorage.getItem("key") && h("button", { type: "button", onclick: forget }, t("Forget key")),
          h("button", { type: "button", onclick: () => dialog.close() }, t("Cancel")),
          h("button.primary", { type: "submit" }, t("Use key")))));
    dialog.addEventListener("close", () => { dialog.remove(); tellKey(); resolve(given); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Show the button of the key while there is one. */
export function tellKey() {
  document.getElementById("key").hidden = !sessionStorage.getItem("key");
}
