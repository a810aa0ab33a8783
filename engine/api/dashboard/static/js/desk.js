// The label desk: buttons that set a label of a clip, their keys, and the choice of a task.

import { fill, h, refill } from "./dom.js";
import { dot, named } from "./emotions.js";
import { labelsOf, tasks } from "./labelling.js";
import { missing, sayFailure } from "./problems.js";
import { t } from "./words.js";

const KEYS = 9;

/**
 * `{element, tell(clip), press(key)}`; the async `set(clip, task, value)` gets what is pressed, null
 * for none, and throws where it fails; `tasked(name)` which other task is taken up.
 */
export function labelDesk(set, tasked = () => {}) {
  let [task, names, clip, hint] = ["emotion", [], null, null];
  const buttons = h("div.labels", { role: "group", "aria-label": t("Labels") });
  const chooser = h("select", { "aria-label": t("Task"), onchange: () => { change(chooser.value); tasked(chooser.value); } });
  const other = h("input", { type: "text", placeholder: t("another label"), "aria-label": t("Another label"), maxlength: 200 });
  const kind = h("input", { type: "text", placeholder: t("another task"), "aria-label": t("Another task"), maxlength: 200 });
  const written = (field, use) => {
    const wrong = h("div");
    return h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        const text = field.value.trim();
        if (!text) return;
        try {
          await use(text);
          fill(wrong);
          if (field.value.trim() === text) field.value = "";
        } catch (error) {
          fill(wrong, missing(t("Not labelled"), error));
        }
      },
    }, field, wrong);
  };
  const element = h("div.desk", {},
    h("div.row.between", {}, h("h3", {}, t("Label")), chooser),
    buttons,
    h("div.pair", {},
      written(other, async (name) => { if (!clip) throw new Error(t("there is no clip now")); await set(clip, task, name); if (!names.includes(name)) { names.push(name); list(); } }),
      written(kind, (name) => { change(name); tasked(name); })));

  /** Take up another task; its labels can be pressed once they are known. */
  async function change(name) {
    task = name;
    if (![...chooser.options].some((one) => one.value === name)) chooser.append(h("option", { value: name }, name));
    chooser.value = name;
    [names, hint] = [[], h("p.hint", { role: "status" }, t("Reading the labels…"))];
    list();
    let found;
    try {
      found = [await labelsOf(name), null];
    } catch (error) {
      found = [[], missing(t("The labels in use are not known"), error)];
    }
    if (task !== name) return;
    [names, hint] = found;
    list();
  }

  function list() {
    const none = names.length ? null : h("p.hint", {}, t("No label is in use under this task; write one."));
    refill(buttons, [
      names.map((name, place) => h("button", { type: "button", dataset: { name }, onclick: () => give(name) },
        place < KEYS && h("kbd", {}, place + 1), dot(name), task === "emotion" ? named(name) : name)),
      hint ?? none,
      h("button", { type: "button", dataset: { none: "yes" }, onclick: () => press(0) }, h("kbd", {}, "0"), t("no label")),
    ], chooser);
    tell(clip);
  }

  /** Show the label of a clip; the buttons stay as they are, and with them the focus. */
  function tell(now) {
    clip = now;
    const label = clip?.labels[task];
    for (const one of buttons.querySelectorAll("button")) {
      one.ariaDisabled = String(!clip || (one.dataset.none !== undefined && label === undefined));
      if (!one.dataset.none) one.ariaPressed = String(one.dataset.name === label);
    }
  }

  function press(key) {
    if (!clip) return;
    if (key !== 0) { if (names[key - 1] !== undefined) give(names[key - 1]); } else if (clip.labels[task] !== undefined) give(null);
  }
  const give = (name) => clip && set(clip, task, name).catch(sayFailure);

  tasks().then(
    (found) => { for (const name of found) if (![...chooser.options].some((one) => one.value === name)) chooser.append(h("option", { value: name }, name)); },
    (error) => { element.append(missing(t("The tasks in use are not known"), error)); });
  change(task);
  return { element, tell, press };
}
