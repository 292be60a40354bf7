import type { Clock, Timer } from "../../src/clock.js";

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; callback: () => void }[] = [];
  #endOfTick: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  startTimer(afterMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#nowMs + afterMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  atEndOfTick(callback: () => void): void {
    this.#endOfTick.push(callback);
  }

  /** How many timers are running. */
  get timerCount(): number {
    return this.#timers.length;
  }

  /** Ends the tick: everything put off until then runs. */
  endTick(): void {
    for (const callback of this.#endOfTick.splice(0)) callback();
  }

  /** Moves the time on, firing the timers on the way in their order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets all promise jobs run that are due. */
export function settlePromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
