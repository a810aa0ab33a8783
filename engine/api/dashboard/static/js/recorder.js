// Records an example from the microphone.

import { h, icon, clock, fill } from "./dom.js";
import { t } from "./words.js";

const LONGEST_S = 60;

/** Why this browser gives no microphone; null if it does. */
export function missing() {
  if (!window.isSecureContext) return t("The browser gives the microphone to pages on localhost or over https only; drop a file instead.");
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return t("This browser cannot record; drop a file instead.");
  return null;
}

const REASONS = {
  NotAllowedError: t("The microphone was not allowed; allow it in the browser's address bar and try again."),
  NotFoundError: t("There is no microphone on this machine."),
  NotReadableError: t("The microphone is in use by another program."),
};

/** A button that records; `done(file)` gets what was said, `failed(text)` why nothing was. */
export function recordButton(done, failed) {
  let [starting, ending] = [false, null];
  const button = h("button", { type: "button", onclick: () => (ending ? ending() : start()) });
  const rest = () => { ending = null; button.classList.remove("recording"); fill(button, icon("record"), t("Record")); };
  rest();

  async function start() {
    const why = missing();
    if (why) { failed(why); return; }
    if (starting) return;  // the browser still asks whether it may
    starting = true;
    button.ariaDisabled = "true";
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch (error) {
      failed(REASONS[error.name] ?? t("The microphone gives nothing ({why}).", { why: error.message }));
      return;
    } finally {
      starting = false;
      button.ariaDisabled = "false";
    }
    if (!button.isConnected) { stream.getTracks().forEach((track) => track.stop()); return; }
    const recorder = new MediaRecorder(stream);
    const parts = [];
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const end = () => { if (recorder.state !== "inactive") recorder.stop(); };
    const tick = () => {
      fill(button, icon("stop"), t("Stop {time}", { time: clock(seconds()) }));
      if (seconds() > LONGEST_S || !button.isConnected) end();
    };
    const beat = setInterval(tick, 250);
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      clearInterval(beat);
      stream.getTracks().forEach((track) => track.stop());
      const lasted = seconds();
      rest();
      const type = recorder.mimeType || "audio/webm";
      const kind = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
      const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
      if (lasted < 0.5) failed(t("That was too short; speak for a second or more."));
      else if (button.isConnected) done(new File(parts, `${t("recorded {time}", { time })}.${kind}`, { type }));
    });
    ending = end;
    recorder.start();
    button.classList.add("recording");
    tick();
  }

  return button;
}
