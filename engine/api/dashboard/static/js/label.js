// Labels clip after clip: those most worth it, each heard and labelled by one key.

import { changed, read } from "./api.js";
import { player } from "./audio.js";
import { scoreBars } from "./bars.js";
import { facts, placeOf } from "./card.js";
import { labelDesk } from "./desk.js";
import { fill, h, clock, refill } from "./dom.js";
import { named, scoreless } from "./emotions.js";
import { bind } from "./keys.js";
import { setLabel } from "./labelling.js";
import { busyBox, emptyBox, missing, problemBox, sayFailure } from "./problems.js";
import { trainer } from "./training.js";
import { playButton, wave } from "./wave.js";
import { number, percent, plural, t } from "./words.js";

const FETCHED = 20;

export function render(main, { signal }) {
  let [waiting, current, task, turn, labelled, reported] = [[], null, "emotion", 0, 0, ""];
  const past = [];  // clips that were labelled or passed over, the last one at the end
  const seen = new Set();

  const sound = h("input", { type: "checkbox", checked: true });
  const count = h("p.hint", { role: "status" });
  const place = h("div.stack", { "aria-live": "polite" });
  const factsBox = h("div", {});
  const desk = labelDesk(label, begin);
  const skip = h("button", { type: "button", onclick: () => next() }, t("Skip"), h("kbd", {}, "n"));
  const back = h("button", { type: "button", onclick: before }, t("Back"), h("kbd", {}, "b"));
  const tools = h("div.row.between", {}, h("div.row", {}, back, skip), h("label.check", {}, sound, t("Play each clip at once")));
  const panel = h("section.panel.stack", { "aria-label": t("The clip to label") }, place, desk.element, tools);
  const [report, agreed] = [h("div"), h("div")];
  let training = trainer(task, classifier, signal);

  /** Begin with the clips that are worth a label under a task. */
  function begin(name) {
    [task, waiting, current] = [name, [], null];
    training = trainer(task, classifier, signal);
    turn++;
    past.length = 0;
    seen.clear();
    next();
    classifier();
  }
  async function next() {
    const now = turn;
    if (current) past.push(current);
    current = null;
    if (!waiting.length) {
      fill(place, busyBox(t("Choosing clips…")));
      desk.tell(null);  // what is pressed now is not about the clip before
      try {
        const query = new URLSearchParams({ task, limit: FETCHED + past.length });
        const { data } = await read(`/v1/suggestions?${query}`, { signal });
        if (now !== turn) return;
        waiting = data.filter((one) => !seen.has(one.clip)).slice(0, FETCHED);
      } catch (error) {
        if (now !== turn || signal.aborted) return;
        show(null);
        if (error.kind !== "not-found") fill(place, problemBox(error, next));
        return;
      }
    }
    show(waiting.shift() ?? null);
  }
  function before() {
    if (!past.length) return;
    if (current) waiting.unshift(current);
    show(past.pop());
  }
  function show(clip) {
    current = clip;
    player.stop();
    count.textContent = labelled ? t("Labelled here: {n}", { n: number(labelled) }) : "";
    back.ariaDisabled = String(!past.length);
    tools.hidden = !clip && !past.length;
    if (!clip) { fill(place, nothing()); desk.tell(null); return; }
    seen.add(clip.clip);
    const [key, name] = [`clip-${clip.clip}`, `${clip.file} ${clock(clip.start)}`];
    refill(place, [
      h("div.row.between", {}, h("h2", {}, h("a", { href: placeOf(clip) }, clip.file)), h("span.span", {}, `${clock(clip.start, true)} – ${clock(clip.end, true)}`)),
      h("div.sound", {}, playButton(key, clip.audio, name), wave(key, clip.audio, name)),
      factsBox,
      h("details", {}, h("summary", {}, t("What the model hears")),
        clip.value && h("p", {}, t("The classifier says {label} with {score}.", { label: named(clip.value), score: percent(clip.probability) })),
        Object.keys(clip.scores).length ? scoreBars(clip.scores, t("All scores")) : scoreless()),
    ]);
    tell(clip);
    meanwhile();
    if (sound.checked && navigator.userActivation?.hasBeenActive) player.play(key, clip.audio).catch(sayFailure);
  }
  /** Show what somebody else has labelled the clip since it was chosen; go on if it was erased. */
  async function meanwhile() {
    const clip = current;
    if (!clip) return;
    try {
      const { labels } = await read(`/v1/clips/${clip.clip}`, { signal });
      if (clip !== current || JSON.stringify(labels) === JSON.stringify(clip.labels)) return;
      clip.labels = labels;
      tell(clip);
    } catch (error) {
      if (error.kind === "not-found" && clip === current) { current = null; next(); }
    }
  }
  function tell(clip) {
    fill(factsBox, facts(clip));
    desk.tell(clip);
  }
  const nothing = () => emptyBox(t("Nothing is left to label"), t("Every clip has a label under this task, or the archive is empty."), h("a.button", { href: "#/" }, t("To the start")));

  async function label(clip, under, value) {
    Object.assign(clip, await setLabel(clip.clip, under, value));
    changed();
    if (signal.aborted || clip !== current) return;
    if (value === null) { tell(clip); return; }
    labelled++;
    next();
  }
  /** What the classifier of the task knows already. */
  async function classifier() {
    const now = turn;
    try {
      const [{ data }, counts] = await Promise.all([read("/v1/classifiers", { signal }), read(`/v1/labels?task=${encodeURIComponent(task)}`, { signal })]);
      if (now !== turn) return;
      const latest = data.filter((one) => one.task === task).at(-1);
      const many = counts.data.reduce((sum, one) => sum + one.count, 0);
      const content = JSON.stringify([task, latest?.version, latest?.predictions, many]);
      if (content === reported) return;
      reported = content;
      refill(report, h("section.panel.stack", { "aria-label": t("Classifier") }, h("h2", {}, t("Classifier")),
        h("p", {}, t("{labels} under this task.", { labels: plural(many, "label") }), " ", latest ? "" : t("No classifier has been trained yet.")),
        latest && knows(latest),
        training));
      agreement(agreed, task, signal);
    } catch (error) {
      reported = "";
      if (!signal.aborted) fill(report, missing(t("The classifiers are not known"), error));
    }
  }

  const digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
  bind([
    { keys: digits, shown: ["1", "…", "9"], does: t("set a label, and on to the next clip"), run: (key) => desk.press(Number(key)) },
    { keys: ["n", "ArrowRight"], shown: ["n", "→"], does: t("skip the clip"), run: next },
    { keys: ["b", "ArrowLeft"], shown: ["b", "←"], does: t("back to the clip before"), run: before },
    { keys: ["0"], does: t("take the label away"), run: () => desk.press(0) },
    { keys: ["space"], shown: [t("Space")], does: t("play or stop the clip"), run: () => current && player.toggle(`clip-${current.clip}`, current.audio).catch(sayFailure) },
  ]);
  fill(main, h("div.row.between", {}, h("h1", {}, t("Label")), count),
    h("p.lead", {}, t("Clips most worth a label come first: those that a classifier doubts, or before there is one, those typical of parts of the archive.")),
    panel, report, agreed);
  classifier();
  next();
  document.addEventListener("archivechange", () => { classifier(); meanwhile(); if (place.querySelector(".empty")) next(); }, { signal });
}

/** How far the labels of a task agree with those of another, which somebody else may have given. */
async function agreement(place, task, signal) {
  const known = (await read("/v1/tasks", { signal })).data.map((one) => one.name);
  const others = known.filter((one) => one !== task);
  const answer = h("p", { role: "status" });
  const before = place.querySelector("select")?.value;
  const other = h("select", { name: "other", onchange: tell }, others.map((value) => h("option", { value, selected: value === before }, value)));
  async function tell() {
    const asked = other.value;
    if (!known.includes(task)) { fill(answer, t("No clip has a label under both.")); return; }
    try {
      const { clips, agreed, kappa } = await read(`/v1/agreement?${new URLSearchParams({ task, other: asked })}`, { signal });
      if (other.value !== asked) return;
      fill(answer, clips ? t("{clips} have a label under both; {share} agree.", { clips: plural(clips, "clip"), share: percent(agreed / clips) }) : t("No clip has a label under both."),
        kappa !== null && h("b", {}, ` ${t("Cohen's kappa {kappa}", { kappa: number(kappa, 2) })}`));
    } catch (error) {
      if (!signal.aborted) fill(answer, missing(t("Not read"), error));
    }
  }
  refill(place, others.length > 0 && h("section.panel.stack", { "aria-label": t("Agreement") }, h("h2", {}, t("Agreement")),
    h("p.hint", {}, t("Two people label under a task each; this compares them.")),
    h("label.row.choice", {}, h("span", {}, t("{task} with", { task })), other), answer));
  if (others.length) tell();
}

/** What a classifier knows, how well it did on voices it was not trained on, and what it left out. */
function knows({ version, classes, predictions, provenance: { data, metrics: { uar } } }) {
  const [mean, low, high] = [uar.value, uar.low, uar.high].map((one) => one !== null && percent(one));
  const left = Object.entries(data.left_out).map(([name, { clips }]) => `${named(name)} (${plural(clips, "clip")})`);
  return [
    h("p", {}, t("Version {n} knows {classes} and has classified {clips}.", { n: version, classes: classes.map(named).join(t(", ")), clips: plural(predictions, "clip") })),
    h("p", {}, h("b", {}, t("UAR {mean}", { mean })), low && ` ${t("(95 % interval {low} to {high})", { low, high })}`, " ",
      t("on voices that it was not trained on: the mean over the classes of the share of their clips that is found; chance is {chance}.", { chance: percent(1 / classes.length) })),
    left.length > 0 && h("p", {}, t("Left out, of too few clips or one voice alone: {classes}.", { classes: left.join(t(", ")) })),
  ];
}
