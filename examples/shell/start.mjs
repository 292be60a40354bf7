// Starts the app's parts (app.toml) and tries out what stands in front of its backends and its slow work. Played twice on one data
// directory: the first run is cold, the second finds what the first has left.
import { writeFileSync } from "node:fs";

/** Starts all that is eager and shows each component as it comes to its end; the webview's part is played here. */
export async function startApp(pillion, view, chart) {
  const subscription = await pillion.subscribe(["startup", "components"], {}, ({ name, data }) => {
    if (name === "startup.progress" && data.state !== "running") view.showComponent(data);
    if (name === "components.wanted") void loadChunk(pillion, data);
  });
  const result = await pillion.call("startup.run");
  await pillion.call("startup.mark", { name: "first paint" });
  await subscription.unsubscribe();
  const report = await pillion.call("startup.report", { text: true });
  writeFileSync(chart, (await pillion.call("startup.plot")).svg);
  return { ...result, report };
}

/** What a webview would do: import the chunk, then say so. */
async function loadChunk(pillion, { token, settings }) {
  await new Promise((loaded) => setTimeout(loaded, 20));
  await pillion.call("components.complete", { token, result: { loaded: settings.chunk } });
}

const tools = "everything/tools/list";

/** The same questions to a backend, and the same slow work through the cache; each time in milliseconds. */
export async function askTwice(pillion) {
  const times = {};
  const timed = async (what, work) => {
    const startMs = performance.now();
    await work();
    times[what] = performance.now() - startMs;
  };
  // Pillion answers these lists itself once it knows them, awake or asleep.
  await timed("list of tools, first time", () => pillion.request(tools, {}));
  await settled(pillion);
  await timed("list of tools, again", () => pillion.request(tools, {}));
  const folder = { name: "list_directory", arguments: { path: process.cwd() } };
  await timed("call of a tool, first time", () => pillion.request("files/tools/call", folder));
  await timed("call of a tool, again", () => pillion.request("files/tools/call", folder));
  await timed("100 equal calls at once", () => Promise.all(Array.from({ length: 100 }, () => pillion.request("everything/resources/list", {}))));
  // Work that takes 250 ms, kept in the cache's namespace for queries, in memory and on disk.
  const slow = { namespace: "query", key: { report: "sales", year: 2026 }, load: { method: "rpc.delay", params: { durationMs: 250 } } };
  await timed("slow report, first time", () => pillion.call("cache.get", slow));
  await timed("slow report, again", () => pillion.call("cache.get", slow));
  return times;
}

/** A server may say that its list has changed just after it came up; then it is asked once more. */
async function settled(pillion) {
  await pillion.request(tools, {});
}
