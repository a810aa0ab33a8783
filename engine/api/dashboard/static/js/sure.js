// Asks once more before something is deleted for good.

import { h } from "./dom.js";
import { t } from "./words.js";

/** Whether it is to be done: a dialog with a title, paragraphs, and a button `yes`. */
export function sure(title, paragraphs, yes) {
  return new Promise((resolve) => {
    let agreed = false;
    const dialog = h("dialog", { "aria-labelledby": "sure-title" }, h("form", { onsubmit: (event) => { event.preventDefault(); agreed = true; dialog.close(); } },
      h("h2", { id: "sure-title" }, title),
      paragraphs.map((one) => h("p", {}, one)),
      h("div.row.end", {}, h("button", { type: "button", onclick: () => dialog.close() }, t("Cancel")), h("button.danger", { type: "submit" }, yes))));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(agreed); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
