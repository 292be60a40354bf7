import assert from "node:assert/strict";
import test from "node:test";
import type { Progress } from "../../src/pending_calls.js";
import { FakePillion } from "../support/fake_pillion.js";

test("a call sends its method and params, and resolves with the result", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.echo", { text: "hello" });
  await fake.tick();
  const [request] = fake.life.find("rpc.echo");
  assert.equal(request?.jsonrpc, "2.0");
  assert.deepEqual(request?.params, { text: "hello" });
  fake.life.answer(request, { text: "hello" });
  assert.deepEqual(await call, { text: "hello" });
});

test("params may be left out", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  void pillion.call("rpc.ping").catch(() => undefined);
  await fake.tick();
  assert.equal("params" in (fake.life.find("rpc.ping")[0] ?? {}), false);
});

test("options travel in _meta, and those of this side do not", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const signal = new AbortController().signal;
  void pillion.call("rpc.echo", { a: 1 }, { priority: "low", page: 2, fields: ["a"], ifNoneMatch: "x", signal, batch: true });
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.echo")[0]?.params, {
    a: 1,
    _meta: { priority: "low", page: 2, fields: ["a"], ifNoneMatch: "x" },
  });
});

test("options are added to a _meta that is there", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  void pillion.request("rpc.echo", { _meta: { custom: 1, page: 1 } }, { page: 2 });
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.echo")[0]?.params, { _meta: { custom: 1, page: 2 } });
});

test("params are taken as they are when the call is made", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const params = { text: "before" };
  void pillion.call("rpc.echo", params);
  params.text = "after";
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.echo")[0]?.params, { text: "before" });
});

test("an error rejects with what the wire says", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.ping");
  await fake.tick();
  fake.life.refuse(fake.life.find("rpc.ping")[0], { code: -32004, message: "full", data: { kind: "exhausted", retryable: true } });
  await assert.rejects(call, { name: "PillionError", kind: "exhausted", code: -32004, retryable: true, message: "full" });
});

test("params that JSON cannot hold are refused", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const circular: Record<string, unknown> = {};
  circular["self"] = circular;
  await assert.rejects(pillion.call("rpc.echo", circular), { kind: "invalid_params" });
  await assert.rejects(pillion.request("rpc.echo", [1], { page: 1 }), { kind: "invalid_params" });
});

test("calls of one tick travel as one batch and are answered in any order", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const calls = [1, 2, 3].map((n) => pillion.call("rpc.echo", { n }));
  await fake.tick();
  assert.equal(fake.life.writes.length, 2, "the greeting and one batch");
  const batch = JSON.parse(fake.life.writes[1]?.[0] ?? "") as { id: number; params: { n: number } }[];
  assert.equal(batch.length, 3);
  fake.life.handlers.onMessage(batch.reverse().map(({ id, params }) => ({ jsonrpc: "2.0", id, result: params })));
  assert.deepEqual(await Promise.all(calls), [{ n: 1 }, { n: 2 }, { n: 3 }]);
});

test("calls that may take long stay out of batches", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  void pillion.call("rpc.ping");
  void pillion.call("rpc.ping");
  void pillion.call("rpc.delay", { durationMs: 1 });
  void pillion.call("python/render", {});
  void pillion.call("rpc.ping", {}, { timeoutMs: 50 });
  void pillion.call("rpc.ping", {}, { onProgress: () => undefined });
  void pillion.call("rpc.ping", {}, { batch: false });
  await fake.tick();
  const texts = fake.life.writes[1] ?? [];
  assert.equal(texts.length, 6, "one batch and five alone, in one write");
  assert.ok(texts[0]?.startsWith("["));
  assert.ok(texts.slice(1).every((text) => text.startsWith("{")));
});

test("a critical call does not wait for the end of the tick", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  void pillion.call("rpc.ping", {}, { priority: "critical" });
  assert.equal(fake.life.find("rpc.ping").length, 1);
});

test("without batching, every call is a message of its own, in one write", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ batching: false });
  void pillion.call("rpc.ping");
  void pillion.call("rpc.ping");
  await fake.tick();
  assert.ok(fake.life.writes.flat().every((text) => text.startsWith("{")));
});

test("a signal that is aborted before the call keeps it from being sent", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const reason = new Error("no longer needed");
  const call = pillion.call("rpc.ping", {}, { signal: AbortSignal.abort(reason) });
  await assert.rejects(call, { kind: "cancelled", code: -32800, cause: reason });
  await fake.tick();
  assert.equal(fake.life.find("rpc.ping").length, 0);
});

test("an abort within the tick takes the call back", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const abort = new AbortController();
  const call = pillion.call("rpc.ping", {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(call, { kind: "cancelled" });
  await fake.tick();
  assert.equal(fake.life.messages.length, 1, "only the greeting");
});

test("an abort after sending asks Pillion to stop and ignores its answer", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  pillion.on("error", (error) => assert.fail(error));
  const abort = new AbortController();
  const call = pillion.call("rpc.delay", { durationMs: 100 }, { signal: abort.signal });
  await fake.tick();
  abort.abort();
  await assert.rejects(call, { kind: "cancelled" });
  const [request] = fake.life.find("rpc.delay");
  assert.deepEqual(fake.life.find("$/cancelRequest")[0]?.params, { id: request?.id });
  fake.life.refuse(request, { code: -32800, message: "cancelled" });
});

test("an abort after the answer does nothing", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const abort = new AbortController();
  const call = pillion.call("rpc.ping", {}, { signal: abort.signal });
  await fake.tick();
  fake.life.answer(fake.life.find("rpc.ping")[0], { pong: true });
  await call;
  abort.abort();
  assert.equal(fake.life.find("$/cancelRequest").length, 0);
});

test("a deadline travels along, and is guarded on this side", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ timeoutGuardMs: 200 });
  const call = pillion.call("rpc.ping", {}, { timeoutMs: 500 });
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.ping")[0]?.params, { _meta: { timeoutMs: 500 } });
  let settled = false;
  void call.catch(() => undefined).finally(() => (settled = true));
  await fake.advance(699);
  assert.equal(settled, false);
  await fake.advance(1);
  await assert.rejects(call, { kind: "timeout", code: -32001, retryable: true });
  assert.equal(fake.life.find("$/cancelRequest").length, 1);
});

test("a deadline of the client counts for calls that name none", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ timeoutMs: 300 });
  void pillion.call("rpc.ping").catch(() => undefined);
  void pillion.call("rpc.echo", {}, { timeoutMs: 10 }).catch(() => undefined);
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.ping")[0]?.params, { _meta: { timeoutMs: 300 } });
  assert.deepEqual(fake.life.find("rpc.echo")[0]?.params, { _meta: { timeoutMs: 10 } });
});

test("a deadline of the client is kept on this side for params by position", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ timeoutMs: 700, timeoutGuardMs: 100 });
  const call = pillion.request("rpc.echo", ["by", "position"]);
  const refused = assert.rejects(call, { kind: "timeout" });
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.echo")[0]?.params, ["by", "position"]);
  fake.clock.advance(800);
  await refused;
});

test("a deadline travels in whole milliseconds", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  void pillion.call("rpc.ping", {}, { timeoutMs: 16.7 }).catch(() => undefined);
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.ping")[0]?.params, { _meta: { timeoutMs: 17 } });
});

test("an answer in time stops the guard", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.ping", {}, { timeoutMs: 500 });
  await fake.tick();
  fake.life.answer(fake.life.find("rpc.ping")[0], { pong: true });
  await call;
  assert.equal(fake.clock.timerCount, 0);
});

test("progress reaches the call that asked for it", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const seen: Progress[] = [];
  const call = pillion.call("rpc.delay", { durationMs: 10 }, { onProgress: (progress) => seen.push(progress) });
  await fake.tick();
  const [request] = fake.life.find("rpc.delay");
  const token = request?.params?.["_meta"].progressToken;
  fake.life.notify("$/progress", { token, value: { kind: "begin", title: "delay" } });
  fake.life.notify("$/progress", { token, value: { kind: "report", percentage: 50 } });
  fake.life.notify("$/progress", { token: "someone else's", value: { kind: "report", percentage: 99 } });
  fake.life.notify("$/progress", { token, value: { kind: "end" } });
  fake.life.answer(request, { durationMs: 10 });
  await call;
  assert.deepEqual(seen.map(({ kind }) => kind), ["begin", "report", "end"]);
});

test("more calls than the limit are refused", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ maxPendingCalls: 2 });
  void pillion.call("rpc.ping").catch(() => undefined);
  void pillion.call("rpc.ping").catch(() => undefined);
  await assert.rejects(pillion.call("rpc.ping"), { kind: "exhausted", retryable: true });
});

test("notifications have no id, and errors without one are reported", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const errors: string[] = [];
  pillion.on("error", (error) => errors.push(error.kind));
  pillion.notify("metrics.record", { value: 1 });
  await fake.tick();
  assert.equal("id" in (fake.life.find("metrics.record")[0] ?? {}), false);
  fake.life.handlers.onMessage({ jsonrpc: "2.0", id: null, error: { code: -32700, message: "what?" } });
  fake.life.handlers.onMessage("no message");
  assert.deepEqual(errors, ["parse_error", "invalid_request"]);
});

test("requests of Pillion's are answered by their handlers", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  pillion.handle("shell.openWindow", (params) => ({ opened: params }));
  fake.life.handlers.onMessage({ jsonrpc: "2.0", id: "a", method: "shell.openWindow", params: { url: "x" } });
  fake.life.handlers.onMessage({ jsonrpc: "2.0", id: "b", method: "shell.unknown" });
  await fake.tick();
  const answers = fake.life.messages.slice(1) as unknown as { id: string; result?: unknown; error?: { code: number } }[];
  assert.deepEqual(answers.find(({ id }) => id === "a")?.result, { opened: { url: "x" } });
  assert.equal(answers.find(({ id }) => id === "b")?.error?.code, -32601);
});

test("a message over the limit is refused on this side and not sent", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ client: "notes/1.4" });
  assert.deepEqual(fake.life.find("initialize")[0]?.params?.["client"], "notes/1.4");
  const bytesMax = pillion.server.limits.messageBytesMax;
  const bytesAround = Buffer.byteLength(JSON.stringify({ jsonrpc: "2.0", id: 2, method: "rpc.echo", params: { text: "" } }));
  const text = "\u{1f600}\u00fc\u20ac".repeat(500).padEnd(4 * 500 + bytesMax - bytesAround - 9 * 500, "x");
  assert.equal(Buffer.byteLength(text), bytesMax - bytesAround, "the longest that fits");
  void pillion.call("rpc.echo", { text }).catch(() => undefined);
  await assert.rejects(pillion.call("rpc.echo", { text: `${text}x` }), { kind: "invalid_request", message: /10000 bytes/ });
  assert.throws(() => pillion.notify("rpc.echo", { text: "x".repeat(bytesMax) }), { kind: "invalid_request" });
  await fake.tick();
  assert.deepEqual(fake.life.find("rpc.echo").map(({ params }) => params), [{ text }]);
});

test("batches stay within the limits of the process", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ batching: { maxCalls: 1_000 } });
  const calls = Array.from({ length: 250 }, () => pillion.call("rpc.ping").catch(() => undefined));
  const texts = Array.from({ length: 10 }, () => pillion.call("rpc.echo", { text: "\u20ac".repeat(1_000) }).catch(() => undefined));
  await fake.tick();
  const batches = fake.life.writes.flat().slice(1);
  assert.equal(batches.flatMap((batch) => JSON.parse(batch) as unknown[]).length, calls.length + texts.length);
  assert.ok(batches.every((batch) => [JSON.parse(batch)].flat().length <= 100));
  assert.ok(batches.every((batch) => Buffer.byteLength(batch) <= 10_000));
});
