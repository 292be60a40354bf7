import assert from "node:assert/strict";
import test from "node:test";
import { FakePillion } from "../support/fake_pillion.js";

test("a first start that fails rejects and is not repeated", async () => {
  const fake = new FakePillion();
  fake.startFailure = new Error("no such program");
  await assert.rejects(fake.connect(), { kind: "unavailable", message: /no such program/ });
  assert.equal(fake.clock.timerCount, 0);
});

test("a first process that exits before it is greeted rejects with its last words", async () => {
  const fake = new FakePillion();
  fake.greets = false;
  const connecting = fake.connect();
  await fake.tick();
  fake.life.die("unknown option --frob");
  await assert.rejects(connecting, { kind: "unavailable", message: /unknown option --frob/ });
});

test("a first process that does not answer is killed when the time is over", async () => {
  const fake = new FakePillion();
  fake.greets = false;
  const connecting = fake.connect({ connectTimeoutMs: 100, timeoutGuardMs: 0 });
  await fake.tick();
  fake.clock.advance(101);
  await assert.rejects(connecting, { kind: "timeout" });
  assert.equal(fake.life.killed, true);
});

test("calls under way reject when the process is lost, and may be tried again", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.ping");
  await fake.tick();
  fake.life.die("out of memory");
  await assert.rejects(call, { kind: "unavailable", code: -32005, retryable: true, message: /out of memory/ });
});

test("calls made while it is away wait for the next process", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  fake.life.die();
  assert.equal(pillion.state, "waiting");
  const call = pillion.call("rpc.ping");
  await fake.advance(999);
  assert.equal(fake.lives.length, 1);
  await fake.advance(1);
  assert.equal(pillion.state, "ready");
  assert.equal(pillion.processId, 2);
  const [request] = fake.life.find("rpc.ping");
  fake.life.answer(request, { pong: true });
  assert.deepEqual(await call, { pong: true });
});

test("a call that was not sent yet survives the loss", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.ping");
  fake.life.die();
  await fake.advance(1_000);
  fake.life.answer(fake.life.find("rpc.ping")[0], { pong: true });
  assert.deepEqual(await call, { pong: true });
});

test("what waits is bounded, can be aborted and keeps its deadline", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ maxQueuedMessages: 2 });
  fake.life.die();
  const abort = new AbortController();
  const aborted = pillion.call("rpc.ping", {}, { signal: abort.signal });
  const late = pillion.call("rpc.ping", {}, { timeoutMs: 300 });
  await assert.rejects(pillion.call("rpc.ping"), { kind: "exhausted", retryable: true });
  abort.abort();
  await assert.rejects(aborted, { kind: "cancelled" });
  await Promise.all([fake.advance(300), assert.rejects(late, { kind: "timeout" })]);
  await fake.advance(700);
  assert.equal(fake.life.find("rpc.ping").length, 0);
});

test("waits grow while starts fail, and each failure is reported", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const errors: string[] = [];
  pillion.on("error", ({ message }) => errors.push(message));
  fake.life.die();
  fake.startFailure = new Error("disk full");
  await fake.advance(1_000);
  await fake.advance(2_000);
  assert.equal(errors.length, 2);
  fake.startFailure = undefined;
  await fake.advance(3_999);
  assert.equal(fake.lives.length, 1);
  const respawns: number[] = [];
  pillion.on("respawn", ({ attempts }) => respawns.push(attempts));
  await fake.advance(1);
  assert.deepEqual(respawns, [3]);
});

test("a process that dies while it is greeted counts as a failed start", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const errors: string[] = [];
  pillion.on("error", ({ kind }) => errors.push(kind));
  fake.life.die();
  fake.greets = false;
  await fake.advance(1_000);
  fake.life.die();
  await fake.tick();
  assert.equal(pillion.state, "waiting");
  assert.deepEqual(errors, ["unavailable"]);
  fake.greets = true;
  await fake.advance(2_000);
  assert.equal(pillion.state, "ready");
});

test("waits start over once a process has lived long enough, and only then", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ respawn: { resetAfterMs: 5_000 } });
  const waits: (number | undefined)[] = [];
  pillion.on("exit", ({ respawnInMs }) => waits.push(respawnInMs));
  fake.life.die();
  await fake.advance(1_000);
  await fake.advance(4_999);
  fake.life.die();
  await fake.advance(2_000);
  await fake.advance(5_000);
  fake.life.die();
  assert.deepEqual(waits, [1_000, 2_000, 1_000]);
});

test("bounded attempts end, and what waits rejects", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ respawn: { maxAttempts: 1 } });
  fake.life.die("crash");
  const waiting = pillion.call("rpc.ping");
  fake.startFailure = new Error("gone");
  await Promise.all([fake.advance(1_000), assert.rejects(waiting, { kind: "unavailable", retryable: false })]);
  assert.equal(pillion.state, "stopped");
  await assert.rejects(pillion.call("rpc.ping"), { kind: "unavailable", message: /crash/ });
});

test("respawn can be switched off", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ respawn: false });
  const exits: unknown[] = [];
  pillion.on("exit", (exit) => exits.push(exit));
  fake.life.die("crash");
  assert.deepEqual(exits, [{ code: 1, signal: null, reason: "crash", respawnInMs: undefined }]);
  assert.equal(pillion.state, "stopped");
  assert.equal(fake.clock.timerCount, 0);
});

test("a respawn can be cancelled, and asked for", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  fake.life.die();
  const waiting = pillion.call("rpc.ping");
  pillion.cancelRespawn();
  await assert.rejects(waiting, { kind: "unavailable", hint: /respawnNow/ });
  await fake.advance(60_000);
  assert.equal(fake.lives.length, 1);
  pillion.respawnNow();
  await fake.tick();
  assert.equal(pillion.state, "ready");
  assert.equal(fake.lives.length, 2);
});

test("close says goodbye, ends the input and waits for the exit", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const states: string[] = [];
  pillion.on("state", (state) => states.push(state));
  const closing = pillion.close();
  await fake.tick();
  assert.equal(fake.life.find("shutdown").length, 1);
  assert.equal(fake.life.ended, true);
  assert.equal(fake.life.killed, false);
  fake.life.die("exited with status 0");
  await closing;
  assert.deepEqual(states, ["closing", "closed"]);
  assert.equal(fake.clock.timerCount, 0);
  await assert.rejects(pillion.call("rpc.ping"), { kind: "unavailable", retryable: false });
  assert.throws(() => pillion.notify("x"), { kind: "unavailable" });
});

test("close sends what the tick holds, and lets it be answered", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const call = pillion.call("rpc.ping");
  const closing = pillion.close();
  fake.life.answer(fake.life.find("rpc.ping")[0], { pong: true });
  assert.deepEqual(await call, { pong: true });
  fake.life.die();
  await closing;
});

test("close kills a process that does not exit", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect({ closeGraceMs: 50 });
  const call = pillion.call("rpc.ping");
  await fake.tick();
  const closing = pillion.close();
  assert.equal(pillion.close() instanceof Promise, true);
  await Promise.all([fake.advance(50), assert.rejects(call, { kind: "unavailable" })]);
  await closing;
  assert.equal(fake.life.killed, true);
});

test("close ends a wait for a respawn", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  fake.life.die();
  const waiting = pillion.call("rpc.ping");
  await Promise.all([pillion.close(), assert.rejects(waiting, { kind: "unavailable" })]);
  await fake.advance(60_000);
  assert.equal(fake.lives.length, 1);
});

test("close during a respawn kills what was started", async () => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  fake.life.die();
  fake.greets = false;
  await fake.advance(1_000);
  assert.equal(pillion.state, "connecting");
  await pillion.close();
  assert.equal(fake.life.killed, true);
  assert.equal(pillion.state, "closed");
});
