import assert from "node:assert/strict";
import test from "node:test";
import { Outbox, type BatchingOptions, type OutgoingMessage } from "../../src/outbox.js";
import { FakeClock } from "../support/fake_clock.js";

function message(id: number, changes: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { id, text: String(id), batchable: true, urgent: false, ...changes };
}

function setUp(options: BatchingOptions = {}) {
  const clock = new FakeClock();
  const writes: (readonly string[])[] = [];
  const outbox = new Outbox(options, clock, (texts) => writes.push(texts));
  outbox.resume();
  return { clock, writes, outbox };
}

test("messages of one tick become one batch", () => {
  const { clock, writes, outbox } = setUp();
  for (const id of [1, 2, 3]) outbox.add(message(id));
  assert.deepEqual(writes, []);
  clock.endTick();
  assert.deepEqual(writes, [["[1,2,3]"]]);
});

test("a message alone in its tick is no batch", () => {
  const { clock, writes, outbox } = setUp();
  outbox.add(message(1));
  clock.endTick();
  outbox.add(message(2));
  clock.endTick();
  assert.deepEqual(writes, [["1"], ["2"]]);
});

test("a full batch leaves before the tick ends", () => {
  const { clock, writes, outbox } = setUp({ maxCalls: 2 });
  for (const id of [1, 2, 3]) outbox.add(message(id));
  assert.deepEqual(writes, [["[1,2]"]]);
  clock.endTick();
  assert.deepEqual(writes, [["[1,2]"], ["3"]]);
});

test("a long batch leaves before the tick ends", () => {
  const { writes, outbox } = setUp({ maxLength: 10 });
  outbox.add(message(1, { text: "1234" }));
  outbox.add(message(2, { text: "567890" }));
  assert.deepEqual(writes, [["[1234,567890]"]]);
});

test("a message longer than the limit travels alone", () => {
  const { writes, outbox } = setUp({ maxLength: 4 });
  outbox.add(message(1));
  outbox.add(message(2, { text: "too long" }));
  assert.deepEqual(writes, [["1", "too long"]]);
});

test("with a delay, messages of several ticks share a batch until the time is over", () => {
  const { clock, writes, outbox } = setUp({ maxDelayMs: 5 });
  outbox.add(message(1));
  clock.endTick();
  clock.advance(4);
  outbox.add(message(2));
  assert.deepEqual(writes, []);
  clock.advance(1);
  assert.deepEqual(writes, [["[1,2]"]]);
  outbox.add(message(3));
  clock.advance(4);
  assert.equal(writes.length, 1);
  clock.advance(1);
  assert.deepEqual(writes[1], ["3"]);
});

test("what may not share a batch stands between batches, in order and in the same write", () => {
  const { clock, writes, outbox } = setUp();
  for (const id of [1, 2]) outbox.add(message(id));
  outbox.add(message(3, { batchable: false }));
  for (const id of [4, 5]) outbox.add(message(id));
  clock.endTick();
  assert.deepEqual(writes, [["[1,2]", "3", "[4,5]"]]);
});

test("an urgent message leaves at once and takes along what waits", () => {
  const { clock, writes, outbox } = setUp();
  outbox.add(message(1));
  outbox.add(message(2, { urgent: true }));
  assert.deepEqual(writes, [["[1,2]"]]);
  clock.endTick();
  assert.equal(writes.length, 1);
});

test("a message that is taken back is not sent", () => {
  const { clock, writes, outbox } = setUp();
  outbox.add(message(1));
  outbox.add(message(2));
  assert.equal(outbox.remove(1), true);
  assert.equal(outbox.remove(1), false);
  clock.endTick();
  assert.deepEqual(writes, [["2"]]);
});

test("nothing leaves while paused, and everything after, within the limits", () => {
  const { clock, writes, outbox } = setUp({ maxCalls: 2 });
  outbox.add(message(1));
  outbox.pause();
  for (const id of [2, 3, 4]) outbox.add(message(id));
  outbox.add(message(5, { urgent: true }));
  clock.endTick();
  assert.deepEqual(writes, []);
  outbox.resume();
  assert.deepEqual(writes, [["[1,2]", "[3,4]", "5"]]);
});
