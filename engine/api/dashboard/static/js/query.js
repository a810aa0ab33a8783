// A search and its address: all that a link can carry is in it, so that it can be shared.
//   #/?clip=42&span=7:12.5-20&not=43&label=anger&limit=40
// Uploaded examples stay in this tab: a link cannot carry them.

const LISTS = ["source", "label", "speaker", "channel", "metadata", "emotion"];
const SINGLE = ["after", "before", "min_score", "min_duration", "max_duration", "per_recording", "exclude_same"];
const NUMBERS = new Set(["min_score", "min_duration", "max_duration", "per_recording"]);

export const PAGE = 20;
const MOST = 1000;

/** Examples from files of this computer: `{file, name, against}`; kept while the tab is open. */
export const uploads = [];

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
    for (const name of SINGLE) if (params.get(name)) this.filters[name] = params.get(name);
    this.limit = Math.min(MOST, Math.max(1, Number.parseInt(params.get("limit"), 10) || PAGE));
  }

  /** The address of this search, after the `#/?`. */
  toString() {
    const params = new URLSearchParams();
    for (const one of this.examples) {
      if (one.clip) params.append(one.against ? "not" : "clip", one.clip);
      else params.append(one.against ? "notspan" : "span", `${one.recording}:${one.start}-${one.end}`);
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

  /** Whether it has something to sound like. */
  get asks() { return this.examples.some((one) => !one.against) || uploads.some((one) => !one.against); }

  get filtered() { return Object.keys(this.filters).length > 0; }

  /** What `/v1/search` is sent: JSON, or a form if there are files. */
  body() {
    const filters = {};
    for (const [name, value] of Object.entries(this.filters)) filters[name] = NUMBERS.has(name) ? Number(value) : value;
    const wire = ({ clip, recording, start, end }) => (clip ? { clip } : { recording, start, end });
    const json = {
      ...filters,
      limit: this.limit,
      positive: this.examples.filter((one) => !one.against).map(wire),
      negative: this.examples.filter((one) => one.against).map(wire),
    };
    if (!uploads.length) return { json };
    const form = new FormData();
    form.append("query", JSON.stringify(json));
    for (const one of uploads) form.append(one.against ? "negative_file" : "file", one.file, one.name);
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
  const span = /^([1-9]\d{0,15}):(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(value);
  if (!["span", "notspan"].includes(name) || !span) return null;
  return { recording: Number(span[1]), start: Number(span[2]), end: Number(span[3]), against: name === "notspan" };
}

const same = (a, b) => ["clip", "recording", "start", "end", "against"].every((name) => a[name] === b[name]);
