// Follows the archive while the tab is seen: browsers have six connections to a server, for all tabs.

import { changed, send } from "./api.js";
import { events } from "./sse.js";

const PAUSE_S = 5;

/** Call `tell` whenever something in the archive changed, by whomever, until `signal` goes off. */
export async function followArchive(tell, signal) {
  let known = null;
  while (!signal.aborted) {
    const seen = new AbortController();
    const leave = () => { if (document.hidden) seen.abort(); };
    document.addEventListener("visibilitychange", leave);
    try {
      if (!document.hidden) {
        const answer = await send("/v1/events", { signal: AbortSignal.any([signal, seen.signal]), once: true });
        for await (const { event, data } of events(answer.body)) {
          if (event !== "archive" || data.revision === known) continue;
          if (known !== null) { changed(); tell(); }
          known = data.revision;
        }
      }
    } catch { /* the tab was left, or the server ends: it is asked again */ }
    document.removeEventListener("visibilitychange", leave);
    if (!signal.aborted) await new Promise((done) => setTimeout(done, PAUSE_S * 1000));
  }
}
