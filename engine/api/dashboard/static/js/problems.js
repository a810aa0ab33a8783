// What is shown where something went wrong or nothing is there.

import { h, toast } from "./dom.js";
import { replaceButton } from "./key.js";
import { t } from "./words.js";

/** What to do about a problem, by its kind. */
export const CURES = {
  unauthorized: t("Reload the page and give a key that is in force."),
  forbidden: t("The key in use may not do that; ask for one of a larger scope."),
  "too-busy": t("The server is busy; try again in a moment."),
  "unusable-audio": t("Try another file: WAV, FLAC, MP3, Ogg, M4A and more are read."),
};

const TITLES = {
  "unusable-audio": t("That file cannot be used"),
  "invalid-request": t("That was not understood"),
  "invalid-input": t("That was not understood"),
  "too-large": t("That file is too large"),
  "not-found": t("Not found"),
  unauthorized: t("A key is needed"),
  forbidden: t("Not allowed"),
  "too-busy": t("Too busy"),
};

/** A problem as a box with what to do about it; tried `again` also when the archive changes, or its server is back. */
export function problemBox(error, again) {
  const box = h("div.problem", { role: "alert" },
    h("h2", {}, TITLES[error.kind] ?? t("Something went wrong")),
    h("p", {}, error.message),
    CURES[error.kind] && h("p.hint", {}, CURES[error.kind]),
    h("div.row", {},
      again && h("button", { type: "button", onclick: again }, t("Try again")),
      error.kind === "forbidden" && replaceButton()));
  if (again) document.addEventListener("archivechange", () => box.isConnected && again(), { once: true });
  return box;
}

/** Say in passing that something failed; that it was called off is no failure. */
export function sayFailure(error) {
  if (error.name !== "AbortError") toast(error.message, "error", error.kind === "forbidden" ? replaceButton() : null);
}

/** A line in the place of what could not be read. */
export const missing = (what, error) => h("p.why", { role: "status" }, `${what}: ${error.message}`);

/** A place where something will be. */
export function emptyBox(title, text, ...actions) {
  return h("div.empty", {}, h("h2", {}, title), h("p", {}, text), actions.length ? h("div.row", {}, actions) : null);
}

export const busyBox = (text) => h("p.busy", { role: "status" }, h("span.spinner", { "aria-hidden": "true" }), text);
