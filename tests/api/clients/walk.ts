// From an upload to a trend, by a client that openapi-typescript made: node walk.js URL KEY FILE
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [url, key, path] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${key}` } });

function form(fields: Record<string, string>): FormData {
  const made = new FormData();
  made.append("file", new Blob([readFileSync(path)]), "walk.wav");
  for (const [name, value] of Object.entries(fields)) made.append(name, value);
  return made;
}

function must<T>(answer: { data?: T; error?: { detail: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  return answer.data;
}

const body = { file: "walk.wav", source: "walk" };
const sent = await client.POST("/v1/recordings", { body, bodySerializer: () => form({ source: "walk" }) });
if (sent.error) throw new Error(sent.error.detail);
const { job } = sent.data;
let recording: number | null = null;
while (recording === null) {
  const now = must(await client.GET("/v1/jobs/{job}", { params: { path: { job } } }));
  if (now.problem) throw new Error(now.problem.detail);
  recording = now.recording;
  await new Promise((done) => setTimeout(done, 100));
}

const byFile = must(
  await client.POST("/v1/search", { body: { file: ["walk.wav"] }, bodySerializer: () => form({ limit: "3" }) }),
);
const byClip = must(
  await client.POST("/v1/search", { body: { positive: [{ clip: byFile.hits[0].clip }], source: ["walk"] } }),
);
const span = must(await client.POST("/v1/search", { body: { positive: [{ recording }] } }));
const found = must(await client.GET("/v1/recordings/{recording}", { params: { path: { recording } } }));
const audio = must(
  await client.GET("/v1/recordings/{recording}/audio", {
    params: { path: { recording }, query: { end: 1 } },
    parseAs: "blob",
  }),
);
const trend = must(await client.GET("/v1/recordings/{recording}/trend", { params: { path: { recording } } }));
console.log(found.file, byFile.hits.length, byClip.hits.length, span.model, audio.size, trend.channels.length);
