// Tables of what was added before: uploads of the last days, and files that could not be ingested.

import { read } from "./api.js";
import { fill, h, refill } from "./dom.js";
import { items } from "./queue.js";
import { missing, sayFailure } from "./problems.js";
import { moment, number, plural, t, translated } from "./words.js";

const LISTED = 20;
const MOST_LISTED = 500;
const REFRESH_S = 2;

export const WORDS = { waiting: t("waiting"), sending: t("sending…"), queued: t("in the queue"), running: t("being embedded"), done: t("in the archive"), failed: t("failed") };

/** Uploads that are not among those of this tab; told anew while one of them is unfinished. */
export function uploads(signal) {
  const table = listing(t("Uploads of the last days"), "/v1/jobs", [t("File"), t("State"), t("When"), t("Recording")], t("None yet."), (job) => [
    job.file,
    job.status === "failed" ? translated(job.problem.detail) : WORDS[job.status],
    moment(job.created_at),
    job.recording ? h("a", { href: `#/recordings/${job.recording}`, "aria-label": t("open {name}", { name: job.file }) }, t("open")) : "",
  ], signal, (job) => job.kind === "upload" && !items.some((one) => one.job?.job === job.job));
  const refresh = async () => {
    await table.load();
    if (!signal.aborted && table.rows().some((job) => ["queued", "running"].includes(job.status))) setTimeout(() => signal.aborted || refresh(), REFRESH_S * 1000);
  };
  refresh();
  document.addEventListener("archivechange", table.load, { signal });
  return table.element;
}

/** Files that the command line could not ingest, and how many there are. */
export function failures(signal) {
  const table = listing(t("Files that could not be ingested"), "/v1/failures", [t("File"), t("Why"), t("Tried"), t("When")], t("None. Failed uploads are told above, with the reason."),
    (one) => [one.file, translated(one.reason), plural(one.attempts, "time"), moment(one.failed_at)], signal);
  table.load();
  read("/v1/stats", { signal }).then((stats) => table.count(stats.failures), () => {});  // the table tells why
  return table.element;
}

/** A section with a table of the API's list at `path`, and a way to the rows beyond the first. */
function listing(title, path, columns, none, cells, signal, wanted = () => true) {
  let [rows, cursor] = [[], null];
  const heading = h("h2", {}, title);
  const body = h("tbody", {});
  const table = h("div.table", { tabindex: "0", role: "region", "aria-label": title, hidden: true },
    h("table", {}, h("thead", {}, h("tr", {}, columns.map((one) => h("th", { scope: "col" }, one)))), body));
  const hint = h("div.hint", {});
  const more = h("button", { type: "button", hidden: true, onclick: further }, t("Show more"));

  function tell(page) {
    cursor = page.next;
    const shown = rows.filter(wanted);
    refill(body, shown.map((one) => h("tr", {}, cells(one).map((cell) => h("td", {}, cell)))), more);
    table.hidden = !shown.length;
    fill(hint, shown.length ? "" : cursor === null ? none : t("So far only those above."));
    if (cursor === null && document.activeElement === more) table.focus();
    more.hidden = cursor === null;
  }
  /** The rows that are shown, or the first ones, as they are now. */
  async function load() {
    try {
      const page = await read(`${path}?limit=${Math.min(MOST_LISTED, Math.max(LISTED, rows.length))}`, { signal });
      rows = [...page.data, ...rows.slice(page.data.length)];
      tell(rows.length > page.data.length ? { next: cursor } : page);
    } catch (error) {
      if (!signal.aborted) fill(hint, missing(t("Not read"), error));
    }
  }
  async function further() {
    if (more.ariaDisabled === "true") return;
    more.ariaDisabled = "true";
    try {
      const page = await read(`${path}?limit=${LISTED}&cursor=${cursor}`, { signal });
      rows.push(...page.data);
      tell(page);
    } catch (error) {
      sayFailure(error);
    } finally {
      more.ariaDisabled = "false";
    }
  }
  return {
    element: h("section", {}, heading, table, hint, h("div.row.centre", {}, more)),
    load,
    rows: () => rows.filter(wanted),
    count: (many) => fill(heading, many ? `${title} (${number(many)})` : title),
  };
}
