// Follows the archive while the tab is seen: browsers have six connections to a server, for all tabs.

import { changed, Problem, send } from "./api.js";
import { events } from "./sse.js";

const PAUSE_S = 5;
const REST_MS = 2000;  // for changes that come one after the other, as while files are ingested

/**
 * Dispatch `archivechange` on the document whenever something in the archive changed, by whomever,
 * and when a server is there again that could not be reached: pages may show that it failed.
 */
export async function followArchive() {
  let [known, due] = [null, 0];
  const tell = () => { due = 0; changed(); document.dispatchEvent(new Event("archivechange")); };
  while (true) {
    const left = new AbortController();
    const leave = () => { if (document.hidden) left.abort(); };
    document.addEventListener("visibilitychange", leave);
    try {
      if (!document.hidden) {
        const answer = await send("/v1/events", { signal: left.signal, once: true });
        for await (const { event, data } of events(answer.body)) {
          if (event !== "archive" || data.revision === known) continue;
          if (known !== null) due ||= setTimeout(tell, REST_MS);
          known = data.revision;
        }
      }
    } catch (error) {  // the tab was left, or the stream was cut: it is asked for again
      if (error instanceof Problem) known = "";
    }
    document.removeEventListener("visibilitychange", leave);
    await new Promise((done) => setTimeout(done, PAUSE_S * 1000));
  }
}
