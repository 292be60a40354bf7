// What an app would do all day, made up: small calls in batches, most of them asked for again and again.
import { PillionError } from "../../frontend-bindings/client/dist/esm/index.js";

/** How many calls one round makes in one tick: they travel as one batch. */
export const callsPerRound = 20;

const pauseMs = 2;

/** Every so many rounds the settings change, one call is cancelled and one misses its deadline. */
const roundsBetweenTrouble = 50;

/** Keeps making calls until the signal is aborted; counts them and times their round trips. */
export class Workload {
  /** Round trips of whole batches, in microseconds. */
  roundTripsUs = [];
  answered = 0;
  cancelled = 0;
  timedOut = 0;

  async run(pillion, signal) {
    const troubles = [];
    for (let round = 0; !signal.aborted; round += 1) {
      if (round % roundsBetweenTrouble === 0) troubles.push(this.#makeTrouble(pillion, round));
      const startMs = performance.now();
      await Promise.all(callsOf(round).map(([method, params]) => pillion.request(method, params)));
      this.roundTripsUs.push((performance.now() - startMs) * 1_000);
      this.answered += callsPerRound;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    await Promise.all(troubles);
  }

  /** The round trip that this share of the batches stayed below, in microseconds. */
  percentileUs(share) {
    const sorted = [...this.roundTripsUs].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  async #makeTrouble(pillion, round) {
    // A change empties the cache of what depends on it; the next round asks anew.
    const level = (round / roundsBetweenTrouble) % 2 === 0 ? "warning" : "error";
    await pillion.call("config.set", { values: { "log.level": level } });

    const abort = new AbortController();
    const cancelled = pillion.call("rpc.delay", { durationMs: 10_000 }, { signal: abort.signal });
    const late = pillion.call("rpc.delay", { durationMs: 10_000 }, { timeoutMs: 20 });
    pillion.flush();
    abort.abort();
    for (const result of await Promise.allSettled([cancelled, late])) {
      const { reason } = result;
      if (!PillionError.is(reason)) continue;
      if (reason.kind === "cancelled") this.cancelled += 1;
      else if (reason.kind === "timeout") this.timedOut += 1;
      else throw reason;
    }
  }
}

/** Twenty calls; identical ones in flight are run once, and what was asked before comes from the cache. */
function callsOf(round) {
  const sections = ["ipc", "memory", "log"];
  const section = { key: sections[round % sections.length] };
  return [
    ...Array.from({ length: 8 }, () => ["rpc.ping", undefined]),
    ...Array.from({ length: 4 }, () => ["config.get", section]),
    ...Array.from({ length: 3 }, () => ["config.schema", { _meta: { fields: "title" } }]),
    ...Array.from({ length: 2 }, () => ["rpc.discover", { _meta: { fields: "openrpc,info.title" } }]),
    ["rpc.echo", { text: "the quick brown fox" }],
    ["memory.pools", { _meta: { fields: "name,hits" } }],
    ["status.get", undefined],
  ];
}
