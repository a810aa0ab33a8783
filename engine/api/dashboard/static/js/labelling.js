// Labels of a task: which key sets which, and setting them.

import { changed, read, remembered, send } from "./api.js";
import { family, plain, sorted } from "./emotions.js";

const KEYS = 9;

/** Labels to choose from: those in use, then the model's classes that none of them means. */
export async function labelsOf(task) {
  const used = (await read(`/v1/labels?task=${encodeURIComponent(task)}`)).data.map((one) => one.name);
  const names = sorted(used);
  if (task === "emotion") {
    const meant = new Set(names.map((name) => family(name) ?? name));
    const { classes } = await remembered("/v1/stats");
    for (const name of sorted(classes).map(plain)) if (!meant.has(family(name) ?? name)) names.push(name);
  }
  return names.slice(0, Math.max(KEYS, used.length));
}

/** Tasks in use, `emotion` first. */
export async function tasks() {
  const found = (await read("/v1/tasks")).data.map((one) => one.name);
  return ["emotion", ...found.filter((name) => name !== "emotion")];
}

const last = new Map();  // labels being sent, by clip

/**
 * Label a clip; null takes its label away. The clip as it is now. Labels of one clip are sent in the
 * order in which they are given, so that the last one counts.
 */
export function setLabel(clip, task, value) {
  const path = `/v1/clips/${clip}/labels/${encodeURIComponent(task)}`;
  const put = async () => {
    const answer = await send(path, value === null ? { method: "DELETE" } : { method: "PUT", json: { value } });
    changed();
    return answer.json();
  };
  const sent = (last.get(clip) ?? Promise.resolve()).then(put, put);
  last.set(clip, sent);
  const rest = () => { if (last.get(clip) === sent) last.delete(clip); };
  sent.then(rest, rest);
  return sent;
}
