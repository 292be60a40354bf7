// A small desktop shell without a window: it starts Pillion and the parts of an app, cold and warm, plays a session, watches it live, sums up and
// shows what Pillion has to say of it.
//
//     node examples/shell/main.mjs [--seconds 4] [--pillion PATH] [--charts FOLDER]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions } from "./options.mjs";

const options = readOptions(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), "pillion-shell-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
// Whoever reads this, such as `head`, has seen enough.
process.stdout.on("error", () => process.exit());

try {
  await run();
} catch (error) {
  console.error(`error: ${explain(error)}`);
  process.exitCode = 1;
}

async function run() {
  const { connect } = await import("../../frontend-bindings/client/dist/esm/node.js");
  const view = await import("./view.mjs");
  const connected = async (work) => {
    const startMs = performance.now();
    const pillion = await connect({
      command: options.pillion,
      args: ["serve", "--data-dir", folder, "--config", "app.toml"],
      cwd: import.meta.dirname ?? fileURLToPath(new URL(".", import.meta.url)),
      client: "example-shell/1.0",
      respawn: false,
      timeoutMs: 60_000,
    });
    try {
      return await work(pillion, performance.now() - startMs);
    } finally {
      await pillion.close();
    }
  };
  const cold = await connected((pillion) => playApp(pillion, view, "cold"));
  const warm = await connected((pillion) => playApp(pillion, view, "warm"));
  view.showComparison(cold, warm);
  await connected((pillion, firstAnswerMs) => playSession(pillion, view, firstAnswerMs));
}

/** Starts the app's parts and uses them. */
async function playApp(pillion, view, name) {
  const { askTwice, startApp } = await import("./start.mjs");
  const chart = join(options.charts, `pillion-start-${name}.svg`);
  view.showStart(pillion.server, name);
  const start = await startApp(pillion, view, chart);
  if (name === "cold") view.showReport(start.report);
  const times = await askTwice(pillion);
  return { start, times, chart };
}

async function playSession(pillion, view, firstAnswerMs) {
  const session = await import("./session.mjs");
  view.showSession();
  for (const batch of session.readSession()) view.showBatch(await session.playBatch(pillion, batch));
  const { watched } = await import("./insight.mjs");
  const { result: workload, insight } = await watched(pillion, options.charts, () => watch(pillion, view));
  view.showSummary(await pillion.call("metrics.snapshot"), workload, firstAnswerMs);
  view.showInsight(insight);
}

/** Works for a few seconds, or until Ctrl-C, and shows each sample that comes meanwhile. */
async function watch(pillion, { LiveView }) {
  const { Workload } = await import("./workload.mjs");
  const workload = new Workload();
  const live = new LiveView(options.seconds);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), options.seconds * 1_000);
  process.once("SIGINT", () => stop.abort());
  try {
    const subscription = await pillion.subscribe(["metrics"], { intervalMs: live.intervalMs }, ({ data }) => live.show(data));
    await workload.run(pillion, stop.signal);
    await subscription.unsubscribe();
  } finally {
    clearTimeout(timer);
    live.end();
  }
  return workload;
}

/** What went wrong, in one line. */
function explain(error) {
  if (error.code === "ERR_MODULE_NOT_FOUND") return "the client is not built; run `npm ci && npm run build` in frontend-bindings/client";
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}
