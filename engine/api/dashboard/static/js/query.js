// A search and its address: all that a link can carry is in it, so that it can be shared.
//   #/search?clip=42&span=7:12.5-20&span=7:12.5-20:1&not=43&text=an+angry+customer&label=anger&limit=40
// (a stretch of a recording, and the same of its second channel). Of a file it has a name that this
// tab alone knows: file=3f2a91c0.

const LISTS = ["source", "label", "speaker", "channel", "metadata", "emotion"];
const SINGLE = ["after", "before", "min_score", "min_duration", "max_duration", "per_recording", "exclude_same"];
const NUMBERS = new Set(["min_score", "min_duration", "max_duration", "per_recording"]);

export const PAGE = 20;
export const MOST = 1000;

const files = new Map();

/** A file of this computer as an example; kept while the tab is open. */
export function fileExample(file, against = false) {
  const token = [...crypto.getRandomValues(new Uint8Array(4))].map((one) => one.toString(16).padStart(2, "0")).join("");
  files.set(token, file);
  return { file: token, against };
}

/** The file of such an example; undefined in a tab that has it no longer, or never had it. */
export const fileOf = (example) => files.get(example.file);

/** A search by what its address says. */
export class Query {
  constructor(params = new URLSearchParams()) {
    this.examples = [];
    for (const [name, value] of params) {
      const example = exampleOf(name, value);
      if (example && !this.examples.some((one) => same(one, example))) this.examples.push(example);
    }
    this.filters = {};
    for (const name of LISTS) if (params.getAll(name).length) this.filters[name] = [...new Set(params.getAll(name))];
    for (const name of SINGLE) if (params.get(name) && !(NUMBERS.has(name) && Number.isNaN(Number(params.get(name))))) this.filters[name] = params.get(name);
    this.limit = Math.min(MOST, Math.max(1, Number.parseInt(params.get("limit"), 10) || PAGE));
  }

  /** The address of this search, after the `#/search?`. */
  toString() {
    const params = new URLSearchParams();
    for (const one of this.examples) {
      if (one.clip) params.append(one.against ? "not" : "clip", one.clip);
      else if (one.text) params.append(one.against ? "nottext" : "text", one.text);
      else if (one.file) params.append(one.against ? "notfile" : "file", one.file);
      else params.append(one.against ? "notspan" : "span", spanOf(one));
    }
    for (const [name, value] of Object.entries(this.filters)) [value].flat().forEach((one) => params.append(name, one));
    if (this.limit !== PAGE) params.set("limit", this.limit);
    return params.toString();
  }

  /** The same search with a change: `{examples, filters, limit}`. */
  with(changes) {
    return Object.assign(new Query(), { examples: this.examples, filters: this.filters, limit: PAGE }, changes);
  }

  withExample(example) {
    return this.with({ examples: [...this.examples.filter((one) => !same({ ...one, against: example.against }, example)), example] });
  }

  without(example) { return this.with({ examples: this.examples.filter((one) => !same(one, example)) }); }

  /** The same with a filter set; nothing, "" or [] takes it away. */
  withFilter(name, value) {
    const filters = { ...this.filters };
    if (value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length)) delete filters[name];
    else filters[name] = value;
    if (!filters.emotion) delete filters.min_score;
    return this.with({ filters });
  }

  /** Its examples, but for files that are not there. */
  get usable() { return this.examples.filter((one) => !one.file || files.has(one.file)); }

  /** Whether it has something to sound like. */
  get asks() { return this.usable.some((one) => !one.against); }

  get filtered() { return Object.keys(this.filters).length > 0; }

  /** What `/v1/search` is sent: JSON, or a form if there are files. */
  body() {
    const filters = {};
    for (const [name, value] of Object.entries(this.filters)) filters[name] = NUMBERS.has(name) ? Number(value) : value;
    const wire = ({ clip, text, recording, start, end, channel }) => (clip ? { clip } : text ? { text } : { recording, start, end, channel });
    const [archived, uploaded] = [this.usable.filter((one) => !one.file), this.usable.filter((one) => one.file)];
    const json = {
      ...filters,
      limit: this.limit,
      positive: archived.filter((one) => !one.against).map(wire),
      negative: archived.filter((one) => one.against).map(wire),
    };
    if (!uploaded.length) return { json };
    const form = new FormData();
    form.append("query", JSON.stringify(json));
    for (const one of uploaded) form.append(one.against ? "negative_file" : "file", fileOf(one), fileOf(one).name);
    return { body: form };
  }

  /** Its filters as parameters of `/v1/clips`. */
  listing() {
    const params = new URLSearchParams();
    for (const [name, value] of Object.entries(this.filters)) {
      if (!["per_recording", "exclude_same"].includes(name)) [value].flat().forEach((one) => params.append(name, one));
    }
    return params;
  }
}

function exampleOf(name, value) {
  if (["clip", "not"].includes(name) && /^[1-9]\d{0,15}$/.test(value)) return { clip: Number(value), against: name === "not" };
  if (["file", "notfile"].includes(name) && /^[0-9a-f]{8}$/.test(value)) return { file: value, against: name === "notfile" };
  if (["text", "nottext"].includes(name) && value.trim()) return { text: value.trim(), against: name === "nottext" };
  const span = /^([1-9]\d{0,15}):(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)(?::(\d{1,2}))?$/.exec(value);
  if (!["span", "notspan"].includes(name) || !span) return null;
  return { recording: Number(span[1]), start: Number(span[2]), end: Number(span[3]), channel: span[4] && Number(span[4]), against: name === "notspan" };
}

/** A stretch as an address has it. */
export const spanOf = ({ recording, start, end, channel }) => `${recording}:${start}-${end}${channel === undefined || channel === null ? "" : `:${channel}`}`;

const same = (a, b) => ["clip", "file", "text", "recording", "start", "end", "channel", "against"].every((name) => a[name] === b[name]);
