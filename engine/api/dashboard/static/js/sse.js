// Server-sent events, read by fetch: an EventSource could not send the key.

const SILENT_MS = 40_000;  // the server gives a sign of life each 15 s; without any the connection is lost

/** `{event, data}` of each event of an answer's body, as they come; their data are JSON. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();  // Safari cannot iterate a stream
  const end = () => { reader.cancel().catch(() => {}); };
  let text = "";
  let late = setTimeout(end, SILENT_MS);
  try {
    for (let part; !(part = await reader.read()).done;) {
      clearTimeout(late);
      late = setTimeout(end, SILENT_MS);
      const blocks = (text + part.value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
        if (fields.event) yield { event: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    clearTimeout(late);
    end();
  }
}
