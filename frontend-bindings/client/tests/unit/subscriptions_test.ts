import assert from "node:assert/strict";
import test from "node:test";
import type { PillionEvent } from "../../src/types.js";
import { FakePillion, type WireMessage } from "../support/fake_pillion.js";

function sample(subscription: string, seq: number): object {
  return { subscription, seq, dropped: 0, at: 1_700_000_000_000 + seq, data: { intervalMs: 1_000 } };
}

async function subscribed() {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const events: PillionEvent[] = [];
  const subscribing = pillion.subscribe(["metrics"], { intervalMs: 1_000 }, (event) => events.push(event));
  await fake.tick();
  const [request] = fake.life.find("events.subscribe");
  return { fake, pillion, events, subscribing, request };
}

test("a subscription delivers its events and no others", async () => {
  const { fake, events, subscribing, request } = await subscribed();
  assert.deepEqual(request?.params, { intervalMs: 1_000, topics: ["metrics"] });
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  assert.equal(subscription.active, true);
  fake.life.notify("metrics.sample", sample("s1", 1));
  fake.life.notify("metrics.sample", sample("s2", 1));
  assert.deepEqual(events, [
    { name: "metrics.sample", seq: 1, dropped: 0, at: 1_700_000_000_001, data: { intervalMs: 1_000 } },
  ]);
});

test("an event right behind the answer, or before it, is not lost", async () => {
  const { fake, events, subscribing, request } = await subscribed();
  fake.life.notify("metrics.sample", sample("s1", 1));
  fake.life.notify("metrics.sample", sample("other", 1));
  fake.life.answer(request, { subscription: "s1" });
  fake.life.notify("metrics.sample", sample("s1", 2));
  await subscribing;
  assert.deepEqual(events.map(({ seq }) => seq), [1, 2]);
});

test("nothing is delivered after unsubscribe", async () => {
  const { fake, events, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  const unsubscribing = subscription.unsubscribe();
  fake.life.notify("metrics.sample", sample("s1", 1));
  const [unsubscribe] = fake.life.find("events.unsubscribe");
  assert.deepEqual(unsubscribe?.params, { subscription: "s1" });
  fake.life.answer(unsubscribe, {});
  await unsubscribing;
  assert.equal(subscription.active, false);
  assert.deepEqual(events, []);
  await subscription.unsubscribe();
  assert.equal(fake.life.find("events.unsubscribe").length, 1);
});

test("a refused subscription rejects", async () => {
  const { fake, subscribing, request } = await subscribed();
  fake.life.refuse(request, { code: -32602, message: "no topic metrics", data: { kind: "invalid_params", field: "/topics/0" } });
  await assert.rejects(subscribing, { kind: "invalid_params", field: "/topics/0" });
});

test("a listener that throws does not harm the connection", async (context) => {
  const fake = new FakePillion();
  const pillion = await fake.connect();
  const reported: unknown[] = [];
  const host = globalThis as { reportError?: (error: unknown) => void };
  host.reportError = (error) => reported.push(error);
  context.after(() => delete host.reportError);
  let calls = 0;
  const subscribing = pillion.subscribe(["metrics"], {}, () => {
    calls += 1;
    throw new Error("a listener's own mistake");
  });
  await fake.tick();
  fake.life.answer(fake.life.find("events.subscribe")[0], { subscription: "s1" });
  await subscribing;
  fake.life.notify("metrics.sample", sample("s1", 1));
  assert.match(String(reported), /own mistake/);
  assert.equal(calls, 1);
  assert.equal(pillion.state, "ready");
});

test("notifications that are no events are handed on", async () => {
  const { fake, pillion } = await subscribed();
  const seen: string[] = [];
  pillion.on("notification", ({ method }) => seen.push(method));
  fake.life.notify("window/hint", { text: "x" });
  assert.deepEqual(seen, ["window/hint"]);
});

async function respawn(fake: FakePillion): Promise<WireMessage | undefined> {
  fake.life.die();
  await fake.advance(1_000);
  return fake.life.find("events.subscribe")[0];
}

test("a respawn replays subscriptions before anything else goes out", async () => {
  const { fake, pillion, events, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  await subscribing;
  fake.life.die();
  void pillion.call("rpc.ping");
  await fake.advance(1_000);
  assert.deepEqual(fake.life.messages.map(({ method }) => method), ["initialize", "events.subscribe"]);
  const [replay] = fake.life.find("events.subscribe");
  assert.deepEqual(replay?.params?.["topics"], ["metrics"]);
  fake.life.answer(replay, { subscription: "fresh" });
  await fake.tick();
  assert.equal(fake.life.find("rpc.ping").length, 1);
  fake.life.notify("metrics.sample", sample("s1", 7));
  fake.life.notify("metrics.sample", sample("fresh", 1));
  assert.deepEqual(events.map(({ seq }) => seq), [1]);
});

test("an unsubscribe goes to the fresh id", async () => {
  const { fake, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  const replay = await respawn(fake);
  fake.life.answer(replay, { subscription: "fresh" });
  await fake.tick();
  void subscription.unsubscribe();
  assert.deepEqual(fake.life.find("events.unsubscribe")[0]?.params, { subscription: "fresh" });
});

test("what was unsubscribed while the process was away is not replayed", async () => {
  const { fake, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  fake.life.die();
  await subscription.unsubscribe();
  await fake.advance(1_000);
  assert.equal(fake.life.find("events.subscribe").length, 0);
});

test("an unsubscribe during the replay is made up for", async () => {
  const { fake, events, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  const replay = await respawn(fake);
  await subscription.unsubscribe();
  fake.life.answer(replay, { subscription: "fresh" });
  await fake.tick();
  assert.deepEqual(fake.life.find("events.unsubscribe")[0]?.params, { subscription: "fresh" });
  fake.life.notify("metrics.sample", sample("fresh", 1));
  assert.deepEqual(events, []);
});

test("a replay that is refused ends that subscription and nothing else", async () => {
  const { fake, pillion, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  const errors: string[] = [];
  pillion.on("error", ({ kind }) => errors.push(kind));
  const replay = await respawn(fake);
  fake.life.refuse(replay, { code: -32006, message: "not any more" });
  await fake.tick();
  assert.equal(pillion.state, "ready");
  assert.equal(subscription.active, false);
  assert.deepEqual(errors, ["denied"]);
});

test("a process that dies during the replay keeps the subscription for the next one", async () => {
  const { fake, pillion, events, subscribing, request } = await subscribed();
  fake.life.answer(request, { subscription: "s1" });
  const subscription = await subscribing;
  await respawn(fake);
  fake.life.die();
  await fake.tick();
  await fake.advance(2_000);
  fake.life.answer(fake.life.find("events.subscribe")[0], { subscription: "third" });
  await fake.tick();
  assert.equal(pillion.state, "ready");
  assert.equal(subscription.active, true);
  fake.life.notify("metrics.sample", sample("third", 1));
  assert.equal(events.length, 1);
});
