// Where the reader was on a page: kept with each entry of the history, so that Back leads there.

const PATIENCE_MS = 5000;  // for a page to grow as long as it was

const kept = new Map();  // what is remembered, by entry
let entry = null;
let arriving = null;  // while it is, the page moves by itself: that is nobody's place
let made = 0;

/** Begin the entry that the address shows now; whether it was shown before and is gone back to. */
export function enter() {
  const before = history.state?.entry;
  if (before !== undefined && before === entry) return false;
  entry = before ?? `${Date.now()}-${++made}`;
  if (before === undefined) history.replaceState({ entry }, "");
  const back = kept.has(entry);
  if (!back) kept.set(entry, { scroll: scrollY });
  return back;
}

/** Something that this entry's page should find again. */
export const remember = (name, value) => { kept.get(entry)[name] = value; };
export const recall = (name) => kept.get(entry)?.[name];

/** The address of this entry is another now; Back still leads past it. */
export const readdress = (hash) => history.replaceState(history.state, "", hash);

/** Hold still: what is shown goes now, and the height with it. */
export function depart() {
  arriving?.abort();
  arriving = new AbortController();
}

/** Scroll there, once the page is long enough, unless the reader does something before. */
export function arrive(top) {
  depart();
  remember("scroll", top);
  const { signal } = arriving;
  const rest = () => { arriving?.abort(); arriving = null; };
  const reach = () => {
    if (signal.aborted) return;
    window.scrollTo(0, top);
    if (Math.abs(scrollY - top) < 2) rest();
  };
  const grows = new ResizeObserver(reach);
  const late = setTimeout(rest, PATIENCE_MS);
  signal.addEventListener("abort", () => { grows.disconnect(); clearTimeout(late); });
  for (const what of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(what, rest, { signal, passive: true });
  grows.observe(document.getElementById("main"));
  reach();
}

history.scrollRestoration = "manual";
addEventListener("scroll", () => { if (!arriving && entry !== null) remember("scroll", scrollY); }, { passive: true });
