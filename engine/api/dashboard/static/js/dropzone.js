// A place to drop audio files on, with buttons to choose them and to record one.

import { fill, h, icon } from "./dom.js";
import { recordButton } from "./recorder.js";
import { t } from "./words.js";

/**
 * `{element, say(text)}`; `take(files)` gets what is dropped, chosen or recorded, `say` tells beside
 * it what is wrong.
 * @param how {lead: what stands above, record: whether it records, rest: elements beside}
 */
export function dropZone(take, { lead, record = false, rest = null, tall = false }) {
  const alert = h("p.wrong", { role: "alert" });
  const say = (text) => fill(alert, text);
  const given = (files) => { say(""); if (files.length) take(files); };
  const chooser = h("input", { type: "file", accept: "audio/*,video/*,.flac,.opus,.ogg,.m4a", multiple: true, hidden: true, "aria-label": t("Audio files"), onchange: () => { given([...chooser.files]); chooser.value = ""; } });
  const element = h(`div.zone${tall ? ".tall" : ""}`, {
    ondragover: (event) => { event.preventDefault(); element.classList.add("over"); },
    ondragleave: (event) => { if (!element.contains(event.relatedTarget)) element.classList.remove("over"); },
    ondrop: (event) => { event.preventDefault(); element.classList.remove("over"); given([...event.dataTransfer.files]); },
  },
    h("p", {}, lead),
    h(`div.row${tall ? ".centre" : ""}`, {},
      h("button.primary", { type: "button", onclick: () => chooser.click() }, icon("file"), t("Choose files")),
      record && recordButton((file) => given([file]), say), rest),
    alert, chooser);
  return { element, say };
}
