// Plays the recorded session: every line of examples/session.jsonl is a request or a batch, as it can
// also be piped into the program. Here the calls of a line are made in one tick, so that they travel together.
import { readFileSync } from "node:fs";
import { PillionError } from "../../frontend-bindings/client/dist/esm/index.js";

/** The batches of the session, each a list of messages. */
export function readSession() {
  const text = readFileSync(new URL("../session.jsonl", import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => [JSON.parse(line)].flat());
}

/**
 * Makes the calls of one batch and answers what came of each, in order, with the events that came
 * meanwhile and the time in microseconds that passed until the last call was answered.
 */
export async function playBatch(pillion, messages) {
  const startMs = performance.now();
  const aborts = new Map();
  const playing = [];
  for (const { id, method, params } of messages) {
    if (method === "$/cancelRequest") {
      pillion.flush();
      aborts.get(params.id)?.abort();
      continue;
    }
    const abort = new AbortController();
    aborts.set(id, abort);
    playing.push(play(pillion, method, params, abort.signal));
  }
  const answers = await Promise.all(playing);
  return { answers, events: takeEvents(), durationUs: (performance.now() - startMs) * 1_000 };
}

const events = [];
const takeEvents = () => events.splice(0);

async function play(pillion, method, params, signal) {
  try {
    if (method === "events.subscribe") {
      const { topics, ...options } = params;
      await pillion.subscribe(topics, options, (event) => events.push(event));
      return { method };
    }
    // The client makes its own progress tokens: it takes part in those that the recording asked for.
    const { progressToken, timeoutMs, ...meta } = params?._meta ?? {};
    const onProgress = progressToken === undefined ? undefined : (progress) => events.push({ name: "$/progress", data: progress });
    await pillion.request(method, Array.isArray(params) ? params : withMeta(params, meta), { signal, onProgress, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    return { method };
  } catch (error) {
    if (!PillionError.is(error) || error.kind === "unavailable") throw error;
    return { method, error };
  }
}

function withMeta({ _meta, ...params } = {}, meta) {
  return Object.keys(meta).length === 0 ? params : { ...params, _meta: meta };
}
