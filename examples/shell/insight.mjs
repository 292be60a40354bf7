// Lets Pillion watch the machine and itself while the app works, and asks it afterwards what it saw.
import { copyFile } from "node:fs/promises";
import { join } from "node:path";

/** Watches while `work` runs; what was seen, with the files of the report and the flame graph in `folder`. */
export async function watched(pillion, folder, work) {
  await pillion.call("monitor.start");
  await pillion.call("profiler.start", { hz: 500, durationMs: 600_000 });
  const result = await work();
  const profile = await pillion.call("profiler.stop", { format: "svg", output: "file" });
  const report = await pillion.call("analysis.run", { report: "html" });
  const { processes, total, system } = await pillion.call("monitor.sample");
  const { items: alerts } = await pillion.call("alerts.list");
  const page = join(folder, "pillion-report.html");
  const flames = join(folder, "pillion-flames.svg");
  await Promise.all([copyFile(report.file, page), copyFile(profile.file, flames)]);
  return { result, insight: { report, page, flames, samples: profile.state.recorded, processes, total, system, alerts } };
}
