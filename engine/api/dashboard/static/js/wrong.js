// What is wrong with a field stands below it until it is changed, in place of the browser's bubble,
// which goes away. It is said aloud, too.

import { fill, h } from "./dom.js";

const aloud = h("p.unseen", { "aria-live": "assertive" });
let last = 0;

/** Have every field of the page say so that is found invalid. */
export function explainFields() {
  document.body.append(aloud);
  document.addEventListener("invalid", (event) => {
    event.preventDefault();
    const field = event.target;
    tell(field, field.validationMessage);
    // Where its form was sent, to the first that is wrong, as the browser would.
    const now = document.activeElement;
    if (field.form?.contains(now) && !(now.form === field.form && now.ariaInvalid)) field.focus();
    field.ariaInvalid = "true";
  }, true);
  document.addEventListener("input", ({ target }) => { for (const one of target.form?.elements ?? [target]) if (one.ariaInvalid) forget(one); });
}

function tell(field, text) {
  forget(field);
  const wrong = h("small.why", { id: `wrong-${++last}`, "aria-hidden": "true" }, text);  // no part of a label's name
  const box = field.closest(".field, form.row");
  if (box) box.append(wrong);
  else field.after(wrong);
  field.setAttribute("aria-describedby", wrong.id);
  fill(aloud, text);
}

function forget(field) {
  document.getElementById(field.getAttribute("aria-describedby"))?.remove();
  for (const name of ["aria-describedby", "aria-invalid"]) field.removeAttribute(name);
  fill(aloud);
}
