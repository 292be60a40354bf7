import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import test from "node:test";
import { connect, type ConnectOptions } from "../../src/node.js";
import type { ExitInfo } from "../../src/transport.js";

const peer = fileURLToPath(new URL("../support/peer_process.js", import.meta.url));
const respawn = { initialDelayMs: 1 };

function connectToPeer(options: ConnectOptions = {}) {
  return connect({ command: process.execPath, args: [peer], respawn, ...options });
}

test("a program that is not there rejects with a hint", async () => {
  await assert.rejects(connect({ command: "/nonexistent/pillion" }), { kind: "unavailable", hint: /PATH/ });
});

test("a program that exits at once rejects with what it said", async () => {
  const args = ["-e", "console.error('bad configuration'); process.exit(2)"];
  await assert.rejects(connect({ command: process.execPath, args }), { kind: "unavailable", message: /status 2.*bad configuration/ });
});

test("calls, batches and text in any script go through a real pipe", async () => {
  const pillion = await connectToPeer();
  assert.equal(pillion.server.pid, pillion.processId);
  const texts = ["plain", "😀 süß", "line\r\nend \u2028", "x".repeat(300_000)];
  const results = await Promise.all(texts.map((text) => pillion.call("rpc.echo", { text })));
  assert.deepEqual(results, texts.map((text) => ({ text })));
  await pillion.close();
});

test("noise on stdout is reported and harms nothing", async () => {
  const pillion = await connectToPeer();
  const errors: string[] = [];
  pillion.on("error", ({ kind }) => errors.push(kind));
  await pillion.request("peer.noise");
  assert.deepEqual(errors, ["parse_error"]);
  await pillion.close();
});

test("the log of the process is handed on, up to its last line", async () => {
  const pillion = await connectToPeer();
  const log: string[] = [];
  pillion.on("log", (line) => log.push(line));
  await pillion.close();
  assert.deepEqual(log, ["the peer says goodbye"]);
});

test("a process that is killed comes back under another id", async () => {
  const pillion = await connectToPeer();
  const firstId = pillion.processId;
  const exits: ExitInfo[] = [];
  pillion.on("exit", (exit) => exits.push(exit));
  await assert.rejects(pillion.request("peer.die"), { kind: "unavailable", retryable: true });
  assert.deepEqual(await pillion.call("rpc.echo", { back: true }), { back: true });
  assert.notEqual(pillion.processId, firstId);
  assert.equal(exits[0]?.signal, "SIGKILL");
  await pillion.close();
});

test("an exit names its status and the last line of the log", async () => {
  const pillion = await connectToPeer({ respawn: false });
  const exit = new Promise<ExitInfo>((resolve) => pillion.on("exit", resolve));
  await assert.rejects(pillion.request("peer.exit"), { kind: "unavailable" });
  const { code, reason } = await exit;
  assert.equal(code, 3);
  assert.match(reason, /status 3.*told to exit/);
});

test("a process that does not stop is killed", async () => {
  const pillion = await connectToPeer({ closeGraceMs: 20 });
  const exit = new Promise<ExitInfo>((resolve) => pillion.on("exit", resolve));
  await pillion.request("peer.hang");
  await pillion.close();
  assert.equal((await exit).signal, "SIGKILL");
});
