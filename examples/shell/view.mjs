// How the shell shows things: a block that is repainted on a terminal, one line a second anywhere else. Made for 80 columns.
import * as terminal from "./terminal.mjs";
import { callsPerRound } from "./workload.mjs";

const { bold, bytes, clip, count, cyan, dim, duration, gauge, green, interactive, percent, Screen, sparkline, yellow } = terminal;
const width = 44;
const heading = (text) => console.log(`\n${bold(text)}`);
const label = (text) => dim(text.padEnd(12));

/** Says which program runs. */
export function showStart(server, name) {
  if (name === "cold") console.log(`${bold(`Pillion ${server.version}`)}  ${dim(`process ${server.pid}, ${server.methods} methods: ${server.features.join(", ")}`)}`);
  heading(name === "cold" ? "The app's parts start" : "The app starts again");
}

/** One component of the start has come to its end. */
export function showComponent({ component, state, done, total, error }) {
  const mark = state === "ready" ? green("✓") : yellow("✗");
  console.log(`${mark} ${component.padEnd(12)} ${dim(`${done} of ${total}`)}${error === undefined ? "" : `  ${state}: ${clip(error, 50)}`}`);
}

/** Where the time of the start went. */
export function showReport({ text }) {
  console.log(`\n${text.trimEnd()}`);
}

/** Both runs side by side. */
export function showComparison(cold, warm) {
  heading("Cold and warm");
  const row = (what, before, after) => console.log(`${label(what.padEnd(30))} ${before.padStart(10)} ${after.padStart(10)}`);
  row("", "cold", "warm");
  row("start of the app", duration(cold.start.wallMs * 1_000), duration(warm.start.wallMs * 1_000));
  row("  tasks with kept results", String(cold.start.cached), String(warm.start.cached));
  for (const what of Object.keys(cold.times)) row(what, duration(cold.times[what] * 1_000), duration(warm.times[what] * 1_000));
  console.log(dim(`charts of the starts: ${cold.chart}, ${warm.chart}`));
}

export function showSession() {
  heading("A session, line by line");
}

/** Shows what came of one line of the session. */
export function showBatch({ answers, events, durationUs }) {
  const lines = [];
  const names = countNames(answers.filter(({ error }) => error === undefined).map(({ method }) => method));
  if (names.length > 0) lines.push(`${green("✓")} ${clip(names.join(", "), 66)}`);
  for (const { method, error } of answers) {
    if (error !== undefined) lines.push(`${yellow("✗")} ${clip(`${method}: ${error.message}`, 66)}`);
  }
  for (const name of countNames(events.map((event) => event.name))) lines.push(`${cyan("←")} ${name}`);
  const time = dim(duration(durationUs).padStart(9));
  lines.forEach((line, index) => console.log(`${index === 0 ? time : " ".repeat(9)}  ${line}`));
}

function countNames(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, times]) => (times === 1 ? name : `${name} x${times}`));
}

/** The live view: give it the data of each `metrics.sample`. */
export class LiveView {
  #screen = new Screen();
  #samples = [];

  constructor(seconds) {
    /** How often samples are wanted: on a terminal they fill the width in the time there is. */
    this.intervalMs = interactive ? Math.round(Math.min(Math.max((seconds * 1_000) / width, 50), 1_000)) : 1_000;
    heading(`Live, ${seconds} s of work`);
  }

  show(sample) {
    this.#samples.push(sample);
    if (interactive) this.#paint(sample);
    else this.#print(sample);
  }

  #paint(sample) {
    const line = (name, chart, text) => `${label(name)} ${chart}  ${text}`;
    const history = (member) => cyan(sparkline(this.#samples.map((one) => one[member]), width));
    this.#screen.paint([
      line("requests", history("requestsPerSecond"), `${count(sample.requestsPerSecond)} /s`),
      line("p50", history("p50Us"), duration(sample.p50Us)),
      line("p99", history("p99Us"), duration(sample.p99Us)),
      line("processor", history("cpuPercent"), `${sample.cpuPercent.toFixed(0)} %`),
      line("memory", history("residentBytes"), bytes(sample.residentBytes)),
      line("cache hits", cyan(gauge(sample.cacheHitRatio, width)), percent(sample.cacheHitRatio)),
      line("in flight", cyan(sparkline(this.#samples.map(({ inFlight }) => inFlight), width)), `${sample.inFlight} (${sample.queueDepth} queued)`),
    ]);
  }

  #print(sample) {
    const parts = [
      `${count(sample.requestsPerSecond)} requests/s`,
      `p50 ${duration(sample.p50Us)}`,
      `p99 ${duration(sample.p99Us)}`,
      `cache ${percent(sample.cacheHitRatio)}`,
      bytes(sample.residentBytes),
      `cpu ${sample.cpuPercent.toFixed(0)} %`,
    ];
    console.log(parts.join("  "));
  }

  end() {
    this.#screen.end();
  }
}

/** Sums up: what Pillion measured of itself, and what it looked like from here. */
export function showSummary({ runtime, ipc, pools, poolsBytes }, workload, firstAnswerMs) {
  heading("Summary");
  const rows = [
    ["requests", `${count(ipc.requests)} in ${count(ipc.batches)} batches; ${workload.cancelled} cancelled, ${workload.timedOut} past their deadline`],
    ["latency", `p50 ${duration(ipc.latency.p50Us)}, p99 ${duration(ipc.latency.p99Us)} a request, in Pillion`],
    ["round trip", `p50 ${duration(workload.percentileUs(0.5))}, p99 ${duration(workload.percentileUs(0.99))} a batch of ${callsPerRound}, as seen here`],
    ["cache", `${percent(ipc.cache.hitRatio)} hits of ${count(ipc.cache.hits + ipc.cache.misses)}; ${count(ipc.cache.coalesced)} joined a call in flight`],
    ["allocations", describeAllocations(pools)],
    ["memory", `${bytes(runtime.residentBytes)} resident, peak ${bytes(runtime.residentPeakBytes)}, pools ${bytes(poolsBytes)}`],
    ["start", `first answer ${firstAnswerMs.toFixed(1)} ms after the spawn, as seen here`],
  ];
  for (const [name, text] of rows) console.log(`${label(name)} ${text}`);
}

function describeAllocations(pools) {
  const sum = (member) => pools.reduce((total, pool) => total + pool[member], 0);
  const hits = sum("hits");
  const taken = hits + sum("misses");
  return taken === 0 ? "none from the pools" : `${count(taken)} pooled, ${percent(hits / taken)} reused, ${count(taken - hits)} new`;
}

/** What the monitor, the analysis and the profiler say of the session. */
export function showInsight({ report, page, flames, samples, processes, total, system, alerts }) {
  heading("What Pillion saw");
  const cost = report.hotPaths.filter(({ kind }) => kind === "method").slice(0, 3);
  const rows = [
    ["processes", `${total.processes} with ${bytes(total.memoryBytes)}: ${clip(countNames(processes.map(({ name }) => name)).join(", "), 50)}`],
    ["machine", `cpu ${(system.cpuPercent ?? 0).toFixed(0)} %, memory ${percent(system.memoryUsedShare ?? 0)}, ${system.effectiveCores} cores`],
    ["alerts", alerts.length === 0 ? "none" : clip(alerts.map(({ title }) => title).join("; "), 66)],
    ["score", `${report.score ?? "-"} of 100; ${clip(report.parts.filter(({ score }) => score !== undefined).map(({ kind, score }) => `${kind} ${score}`).join(", "), 60)}`],
    ["time went to", clip(cost.map(({ name, share }) => `${name} ${percent(share)}`).join(", "), 66)],
    ["report", page],
    ["flame graph", `${flames} (${samples} samples)`],
  ];
  for (const [name, text] of rows) console.log(`${label(name)} ${text}`);
}
