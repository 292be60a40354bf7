import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import test from "node:test";
import { connect, servePort, type PortLike, type ServePortOptions } from "../../src/port.js";
import type { Progress } from "../../src/pending_calls.js";
import type { PillionEvent } from "../../src/types.js";
import { settlePromises } from "../support/fake_clock.js";
import { FakePillion, introduction } from "../support/fake_pillion.js";

/** An owner with a fake Pillion, and a client that reaches it through a port only. */
async function setUp(options: ServePortOptions = {}, [near, far]: [PortLike, PortLike] = channel()) {
  const fake = new FakePillion();
  const owner = await fake.connect();
  const served = servePort(near, owner, options);
  const connecting = connect(far);
  await until(() => fake.clock.endTick(), () => fake.life.find("initialize").length === 2);
  fake.life.answer(fake.life.find("initialize")[1], introduction(1));
  const client = await connecting;
  /** Waits until the fake was sent `count` messages of `method`, and answers the last one. */
  const received = async (method: string, count = 1) => {
    await until(() => fake.clock.endTick(), () => fake.life.find(method).length >= count);
    return fake.life.find(method)[count - 1];
  };
  return { fake, owner, served, client, received };
}

function channel(): [PortLike, PortLike] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
}

/** Ports as Electron has them in its main process: event emitters whose messages carry `data`. */
function electronChannel(): [PortLike, PortLike] {
  const emitters = [new EventEmitter(), new EventEmitter()] as const;
  const port = (own: EventEmitter, other: EventEmitter): PortLike => ({
    postMessage: (data) => setImmediate(() => other.emit("message", { data, ports: [] })),
    on: (name, listener) => own.on(name, listener),
    off: (name, listener) => own.off(name, listener),
    start: () => undefined,
    close: () => setImmediate(() => other.emit("close")),
  });
  return [port(emitters[0], emitters[1]), port(emitters[1], emitters[0])];
}

/** Takes turns with the event loop until a condition holds. */
async function until(step: () => void, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000; turn += 1) {
    step();
    if (condition()) return;
    await settlePromises();
  }
  assert.fail("the condition never held");
}

for (const [name, makeChannel] of Object.entries({ MessageChannel: channel, "Electron's ports": electronChannel })) {
  test(`calls go through ${name}`, async () => {
    const { fake, client, owner, received } = await setUp({}, makeChannel());
    const calls = [client.call("rpc.echo", { n: 1 }), client.call("rpc.echo", { n: 2 }, { priority: "high" })];
    const last = await received("rpc.echo", 2);
    assert.deepEqual(last?.params, { n: 2, _meta: { priority: "high" } });
    for (const request of fake.life.find("rpc.echo")) fake.life.answer(request, request.params);
    assert.deepEqual((await Promise.all(calls)).map((result) => result["n"]), [1, 2]);
    await client.close();
    assert.equal(client.state, "closed");
    assert.equal(owner.state, "ready");
    assert.equal(fake.life.find("shutdown").length, 0);
  });
}

test("errors keep their class members across the port", async () => {
  const { fake, client, received } = await setUp();
  const call = client.call("rpc.ping");
  fake.life.refuse(await received("rpc.ping"), { code: -32002, message: "not there", data: { kind: "not_found", retryable: false, hint: "look" } });
  await assert.rejects(call, { name: "PillionError", kind: "not_found", hint: "look" });
  await client.close();
});

test("an abort crosses the port and the pipe", async () => {
  const { client, received } = await setUp();
  const abort = new AbortController();
  const call = client.call("rpc.delay", { durationMs: 1_000 }, { signal: abort.signal });
  const request = await received("rpc.delay");
  abort.abort();
  await assert.rejects(call, { kind: "cancelled" });
  assert.deepEqual((await received("$/cancelRequest"))?.params, { id: request?.id });
  await client.close();
});

test("progress finds its way back, whatever the ids on either side", async () => {
  const { fake, owner, client, received } = await setUp();
  void owner.call("rpc.ping").catch(() => undefined);
  const seen: Progress[] = [];
  const call = client.call("rpc.delay", { durationMs: 1 }, { onProgress: (progress) => seen.push(progress) });
  const request = await received("rpc.delay");
  const token = request?.params?.["_meta"].progressToken;
  assert.equal(token, request?.id);
  fake.life.notify("$/progress", { token, value: { kind: "report", percentage: 10 } });
  fake.life.answer(request, { durationMs: 1 });
  await call;
  assert.deepEqual(seen, [{ kind: "report", percentage: 10 }]);
  await client.close();
});

test("subscriptions go on across a respawn, unnoticed by the other end of the port", async () => {
  const { fake, client, received } = await setUp();
  const events: PillionEvent[] = [];
  const subscribing = client.subscribe(["metrics"], { intervalMs: 100 }, (event) => events.push(event));
  const request = await received("events.subscribe");
  assert.deepEqual(request?.params, { intervalMs: 100, topics: ["metrics"] });
  fake.life.answer(request, { subscription: "a" });
  const subscription = await subscribing;
  fake.life.notify("metrics.sample", { subscription: "a", seq: 1, dropped: 0, at: 5, data: { intervalMs: 100 } });
  fake.life.die();
  await fake.advance(1_000);
  fake.life.answer(fake.life.find("events.subscribe")[0], { subscription: "b" });
  await fake.tick();
  fake.life.notify("metrics.sample", { subscription: "b", seq: 1, dropped: 0, at: 6, data: { intervalMs: 100 } });
  await until(() => undefined, () => events.length === 2);
  assert.deepEqual(events[1], { name: "metrics.sample", seq: 1, dropped: 0, at: 6, data: { intervalMs: 100 } });
  const unsubscribing = subscription.unsubscribe();
  const unsubscribe = await received("events.unsubscribe");
  assert.deepEqual(unsubscribe?.params, { subscription: "b" });
  fake.life.answer(unsubscribe, {});
  await unsubscribing;
  await client.close();
});

test("calls under way reject when the owner's process is lost", async () => {
  const { fake, client, received } = await setUp();
  const call = client.call("rpc.ping");
  await received("rpc.ping");
  fake.life.die();
  await assert.rejects(call, { kind: "unavailable", retryable: true });
  assert.equal(client.state, "ready");
  await client.close();
});

test("the other end of a port cannot stop the process, nor call what is not allowed", async () => {
  const { fake, client } = await setUp({ allow: (method) => method !== "config.set" });
  await assert.rejects(client.call("shutdown"), { kind: "denied" });
  await assert.rejects(client.request("shutdown_performance_manager"), { kind: "denied" });
  await assert.rejects(client.request("config.set", { key: "a" }), { kind: "denied" });
  assert.equal(fake.life.messages.length, 2, "two greetings");
  await client.close();
});

test("a client that leaves takes its calls and subscriptions with it", async () => {
  const { fake, client, received } = await setUp();
  const subscribing = client.subscribe(["metrics"], {}, () => undefined);
  fake.life.answer(await received("events.subscribe"), { subscription: "a" });
  await subscribing;
  const call = client.call("rpc.delay", { durationMs: 1_000 });
  const request = await received("rpc.delay");
  await Promise.all([client.close(), assert.rejects(call, { kind: "unavailable" })]);
  assert.deepEqual((await received("$/cancelRequest"))?.params, { id: request?.id });
  assert.deepEqual((await received("events.unsubscribe"))?.params, { subscription: "a" });
});

test("an owner that stops serving ends the client", async () => {
  const { served, client } = await setUp();
  const exit = new Promise<unknown>((resolve) => client.on("exit", resolve));
  served.close();
  await exit;
  assert.equal(client.state, "stopped");
});
