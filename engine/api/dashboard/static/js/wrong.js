// What is wrong with a field stands below it until it is changed, in place of the browser's bubble,
// which goes away. It is said aloud, too.

import { fill, h } from "./dom.js";
import { number, t } from "./words.js";

const aloud = h("p.unseen", { "aria-live": "assertive" });
let last = 0;

/** Have every field of the page say so that is found invalid. */
export function explainFields() {
  document.body.append(aloud);
  document.addEventListener("invalid", (event) => {
    event.preventDefault();
    const field = event.target;
    tell(field, reason(field));
    // Where its form was sent, to the first that is wrong, as the browser would.
    const now = document.activeElement;
    if (field.form?.contains(now) && !(now.form === field.form && now.ariaInvalid)) field.focus();
    field.ariaInvalid = "true";
  }, true);
  document.addEventListener("input", ({ target }) => { for (const one of target.form?.elements ?? [target]) if (one.ariaInvalid) forget(one); });
}

/** What is wrong, in the words of the page's language and not of the browser's. */
function reason({ validity, validationMessage, type, min, max }) {
  if (validity.customError) return validationMessage;
  if (validity.badInput) return type === "number" ? t("Write a number.") : t("Write a whole date that there is.");
  if (validity.valueMissing || validity.patternMismatch) return t("Write something here.");
  if (validity.typeMismatch) return t("Write a whole address: it begins with https.");
  if (validity.rangeUnderflow) return t("It must be {n} or more.", { n: number(Number(min)) });
  if (validity.rangeOverflow) return t("It must be {n} or less.", { n: number(Number(max)) });
  return validity.stepMismatch ? t("Write a whole number.") : validationMessage;
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
