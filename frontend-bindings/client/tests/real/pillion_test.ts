// Everything that depends on how the real program behaves. It must be there: without it these tests fail.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { after } from "node:test";
import { connect, type ConnectOptions, type Pillion, type EventOf, type Progress } from "@pillion/client/node";
import { connect as connectPort, servePort } from "@pillion/client/port";

const command = process.env["PILLION_BINARY"] ?? fileURLToPath(new URL("../../../../../build/release/sidecar/pillion", import.meta.url));
const timeout = 20_000;

const folder = mkdtempSync(join(tmpdir(), "pillion-client-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a test against a process of its own. */
function withPillion(name: string, body: (pillion: Pillion) => Promise<void>, options: ConnectOptions = {}): void {
  test(name, { timeout }, async () => {
    const respawn = { initialDelayMs: 1 };
    const pillion = await connect({ command, args: ["serve", "--data-dir", folder], respawn, ...options });
    try {
      await body(pillion);
    } finally {
      await pillion.close();
    }
  });
}

withPillion("the process introduces itself", async (pillion) => {
  assert.equal(pillion.server.name, "pillion");
  assert.equal(pillion.server.pid, pillion.processId);
  assert.ok(pillion.server.features.includes("metrics"));
}, { client: "client-tests/1.0" });

withPillion("a ping is answered", async (pillion) => {
  assert.equal(typeof (await pillion.call("rpc.ping")), "object");
});

withPillion("text in any script comes back as it went", async (pillion) => {
  for (const text of ["plain", "😀 süß \u2028", "a\r\nb\0c", "\\\"/", "x".repeat(1_000_000)]) {
    assert.equal((await pillion.call("rpc.echo", { text }))["text"], text);
  }
});

withPillion("two hundred calls of one tick are answered each with its own", async (pillion) => {
  const calls = Array.from({ length: 200 }, (_, n) => pillion.call("rpc.echo", { n }));
  assert.deepEqual((await Promise.all(calls)).map((result) => result["n"]), calls.map((_, n) => n));
});

withPillion("errors say what was wrong", async (pillion) => {
  await assert.rejects(pillion.request("rpc.pnig"), { name: "PillionError", kind: "method_not_found", code: -32601, message: /rpc\.ping/ });
  await assert.rejects(pillion.request("rpc.delay", { durationMs: "long" }), { kind: "invalid_params", code: -32602, field: "/durationMs" });
});

const bytesMax = 4_096;
withPillion("a message just within the limit is answered, and one over it is refused before it is sent", async (pillion) => {
  assert.equal(pillion.server.limits.messageBytesMax, bytesMax);
  const bytesAround = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "rpc.echo", params: { text: "" } }).length;
  const text = "x".repeat(bytesMax - bytesAround);
  assert.equal((await pillion.call("rpc.echo", { text }))["text"], text);
  await assert.rejects(pillion.call("rpc.echo", { text: `${text}x` }), { kind: "invalid_request", message: /4096 bytes/ });
  const calls = Array.from({ length: 100 }, () => pillion.call("rpc.echo", { text: "\u20ac".repeat(100) }));
  assert.equal((await Promise.all(calls)).length, 100);
}, { args: ["serve", "--data-dir", folder, "--set", `ipc.messageBytesMax=${bytesMax}`] });

withPillion("an abort cancels", async (pillion) => {
  const abort = new AbortController();
  const call = pillion.call("rpc.delay", { durationMs: 60_000 }, { signal: abort.signal });
  await pillion.call("rpc.ping");
  abort.abort();
  await assert.rejects(call, { kind: "cancelled", code: -32800 });
});

withPillion("a deadline is kept by the process itself", async (pillion) => {
  const call = pillion.call("rpc.delay", { durationMs: 60_000 }, { timeoutMs: 30 });
  await assert.rejects(call, { kind: "timeout", code: -32001, data: { kind: "timeout", retryable: true } });
}, { timeoutGuardMs: 10_000 });

withPillion("a slow call does not hold up those made beside it", async (pillion) => {
  const abort = new AbortController();
  const slow = pillion.call("rpc.delay", { durationMs: 60_000 }, { signal: abort.signal });
  await Promise.all([pillion.call("rpc.ping"), pillion.call("rpc.ping")]);
  abort.abort();
  await assert.rejects(slow, { kind: "cancelled" });
});

withPillion("progress is reported from begin to end", async (pillion) => {
  const seen: Progress[] = [];
  await pillion.call("rpc.delay", { durationMs: 200, steps: 4 }, { onProgress: (progress) => seen.push(progress) });
  assert.equal(seen[0]?.kind, "begin");
  assert.ok(seen.some(({ kind, percentage }) => kind === "report" && percentage === 50));
  assert.equal(seen.at(-1)?.kind, "end");
});

/** Subscribes to metrics and waits for a number of samples. */
function samples(pillion: Pillion, count: number): Promise<EventOf<"metrics">[]> {
  return new Promise((resolve, reject) => {
    const seen: EventOf<"metrics">[] = [];
    const onEvent = (event: EventOf<"metrics">): void => {
      seen.push(event);
      if (seen.length === count) resolve(seen);
    };
    pillion.subscribe(["metrics"], { intervalMs: 100 }, onEvent).catch(reject);
  });
}

withPillion("a subscription delivers samples in order", async (pillion) => {
  const [first, second] = await samples(pillion, 2);
  assert.equal(first?.name, "metrics.sample");
  assert.equal(second?.seq, (first?.seq ?? 0) + 1);
  assert.equal(second?.dropped, 0);
  assert.ok(Math.abs((second?.at ?? 0) - Date.now()) < 60_000);
  assert.ok((second?.data.residentBytes ?? 0) > 0);
});

withPillion("nothing comes after an unsubscribe", async (pillion) => {
  const subscription = await pillion.subscribe(["metrics"], { intervalMs: 100 }, () => undefined);
  await subscription.unsubscribe();
  assert.equal(subscription.active, false);
});

withPillion("a killed process comes back, with its subscriptions", async (pillion) => {
  const firstId = pillion.processId;
  let onSample: () => void = () => undefined;
  await pillion.subscribe(["metrics"], { intervalMs: 100 }, () => onSample());
  const respawned = new Promise((resolve) => pillion.on("respawn", resolve));
  process.kill(firstId ?? 0, "SIGKILL");
  await respawned;
  assert.notEqual(pillion.processId, firstId);
  await new Promise<void>((resolve) => (onSample = resolve));
});

withPillion("a webview reaches it through a port", async (pillion) => {
  const { port1, port2 } = new MessageChannel();
  servePort(port1, pillion);
  const client = await connectPort(port2);
  assert.equal(client.server.pid, pillion.processId);
  assert.deepEqual((await client.call("rpc.echo", { n: 1 }))["n"], 1);
  assert.equal((await samples(client, 1))[0]?.name, "metrics.sample");
  await client.close();
  await pillion.call("rpc.ping");
});

test("close lets accepted work finish, and the process exits with status 0", { timeout }, async () => {
  const pillion = await connect({ command, args: ["serve", "--data-dir", folder] });
  const exit = new Promise<{ code: number | null }>((resolve) => pillion.on("exit", resolve));
  const call = pillion.call("rpc.delay", { durationMs: 50 });
  await pillion.close();
  await call;
  assert.equal((await exit).code, 0);
});

test("a command line it does not know makes connect reject with its own words", { timeout }, async () => {
  await assert.rejects(connect({ command, args: ["serve", "--frobnicate"] }), { kind: "unavailable", message: /frobnicate/ });
});
