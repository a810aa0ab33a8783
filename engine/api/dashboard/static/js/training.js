// Trains a task's classifier by a job of the service: how far it is, or why nothing came of it.

import { changed, send } from "./api.js";
import { h, fill } from "./dom.js";
import { CURES } from "./problems.js";
import { replaceButton } from "./key.js";
import { events } from "./sse.js";
import { number, t, translated } from "./words.js";

const PAUSE_S = 2;  // before a job is asked for again whose server ended
const PASSING = [0, 429, 503];
const STEPS = { starting: t("starting…"), training: t("training…"), "classifying clips": t("classifying clips…") };

const jobs = new Map();  // ids of those in hand, by task: the page may be left and come back to

/** A button that trains the classifier of `task` and says what comes of it; calls `done` then. */
export function trainer(task, done, signal) {
  const button = h("button", { type: "button", onclick: () => run() }, t("Train a classifier"));
  const state = h("div.row", { role: "status" });
  const element = h("div.row", {}, button, state);

  async function run() {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    try {
      if (!jobs.has(task)) {
        fill(state, STEPS.starting);
        const answer = await send("/v1/jobs", { method: "POST", json: { kind: "train", task }, signal });
        jobs.set(task, (await answer.json()).job);
      }
      const job = await finished(jobs.get(task), tell, signal);
      jobs.delete(task);
      if (job.status === "failed") throw { message: translated(job.problem.detail) };
      changed();
      done();
    } catch (error) {
      if (signal.aborted) return;
      jobs.delete(task);
      fill(state, h("span.why", {}, [error.message, CURES[error.kind]].filter(Boolean).join(" ")), error.kind === "forbidden" && replaceButton());
    }
    button.ariaDisabled = "false";
  }
  function tell({ status, progress, problem }) {
    const bar = h("progress", { max: 1, "aria-label": t("Progress of {name}", { name: task }) });
    if (progress.of) bar.value = progress.seconds / progress.of;
    fill(state, problem ? t("It waits: {why}", { why: translated(problem.detail) }) : status === "queued" ? t("in the queue") : STEPS[progress.step] ?? STEPS.starting,
      progress.of && ` ${number(progress.seconds)} / ${number(progress.of)}`, status === "running" && bar);
  }
  if (jobs.has(task)) run();
  return element;
}

/** A job once it is done or has failed; also where the server is started anew meanwhile. */
async function finished(id, tell, signal) {
  while (true) {
    try {
      const answer = await send(`/v1/jobs/${id}/events`, { signal, once: true });
      for await (const { event, data } of events(answer.body)) {
        if (event !== "job") continue;
        tell(data);
        if (["done", "failed"].includes(data.status)) return data;
      }
    } catch (error) {
      if (signal.aborted || (error.status !== undefined && !PASSING.includes(error.status))) throw error;
      tell({ status: "queued", progress: {}, problem: { detail: error.message } });
    }
    await new Promise((on) => setTimeout(on, PAUSE_S * 1000));
    if (signal.aborted) throw signal.reason;
  }
}
