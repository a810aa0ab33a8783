// Saves what the page holds as files: blobs, and tables as CSV.

import { h } from "./dom.js";

/** Have the browser save something under a name. */
export function save(content, name, type = "text/csv") {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Rows as CSV (RFC 4180). A text that a spreadsheet would take for a formula is quoted for it. */
export function csv(rows, columns) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [columns.join(","), ...rows.map((one) => columns.map((name) => cell(one[name])).join(","))].join("\r\n") + "\r\n";
}
