import assert from "node:assert/strict";
import test from "node:test";
import { Backoff, type BackoffOptions } from "../../src/backoff.js";
import { FakeClock } from "../support/fake_clock.js";

function delays(options: BackoffOptions, random: () => number, count: number): (number | undefined)[] {
  const backoff = new Backoff(options, new FakeClock(), random);
  return Array.from({ length: count }, () => backoff.schedule(() => undefined));
}

test("waits double from one second up to thirty", () => {
  assert.deepEqual(delays({}, () => 0.5, 7), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

test("jitter spreads a wait to both sides", () => {
  assert.deepEqual(delays({ jitter: 0.5 }, () => 0, 3), [1_000, 1_000, 2_000]);
  assert.deepEqual(delays({ jitter: 0.5 }, () => 0.9999, 3).map((delay) => Math.round(delay ?? 0)), [1_500, 3_000, 6_000]);
});

test("no jitter leads out of the limits", () => {
  for (const random of [0, 0.25, 0.999999]) {
    for (const delay of delays({ jitter: 1 }, () => random, 12)) {
      assert.ok(delay !== undefined && delay >= 1_000 && delay <= 30_000, String(delay));
    }
  }
});

test("a thousand unlimited attempts keep the longest wait", () => {
  assert.equal(delays({ jitter: 0 }, () => 0, 1_100).at(-1), 30_000);
});

test("bounded attempts end", () => {
  assert.deepEqual(delays({ maxAttempts: 2 }, () => 0.5, 4), [1_000, 2_000, undefined, undefined]);
});

test("the attempt is made when the wait is over and not before", () => {
  const clock = new FakeClock();
  let attempts = 0;
  new Backoff({}, clock, () => 0.5).schedule(() => (attempts += 1));
  clock.advance(999);
  assert.equal(attempts, 0);
  clock.advance(1);
  assert.equal(attempts, 1);
});

test("cancel stops the wait and keeps the count", () => {
  const clock = new FakeClock();
  const backoff = new Backoff({}, clock, () => 0.5);
  backoff.schedule(() => assert.fail("cancelled"));
  backoff.cancel();
  clock.advance(60_000);
  assert.equal(backoff.attempts, 1);
  assert.equal(backoff.schedule(() => undefined), 2_000);
});

test("reset starts over", () => {
  const clock = new FakeClock();
  const backoff = new Backoff({}, clock, () => 0.5);
  backoff.schedule(() => assert.fail("reset"));
  backoff.schedule(() => assert.fail("reset"));
  backoff.reset();
  assert.equal(clock.timerCount, 0);
  assert.equal(backoff.schedule(() => undefined), 1_000);
});
