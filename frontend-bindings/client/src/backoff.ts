import type { Clock, Timer } from "./clock.js";

/** How long to wait between attempts to bring a lost process back. */
export interface BackoffOptions {
  /** The wait before the first attempt, and the shortest of all, in ms; 1,000 by default. */
  initialDelayMs?: number;
  /** The longest wait, in ms; 30,000 by default. */
  maxDelayMs?: number;
  /** What each wait is multiplied by for the next; 2 by default. */
  factor?: number;
  /** The random part of a wait, from 0 (none) to 1: 0.2, the default, is plus or minus 20 %. */
  jitter?: number;
  /** How many attempts are made before giving up; `Infinity` by default. */
  maxAttempts?: number;
}

/**
 * Exponential backoff: the wait before attempt n is `initialDelayMs * factor^(n-1)`, spread by
 * `jitter` so that the windows of one app do not all come back at once, and kept within
 * `initialDelayMs` and `maxDelayMs` whatever the jitter.
 */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  readonly #clock: Clock;
  readonly #random: () => number;
  #attempts = 0;
  #timer: Timer | undefined;

  /** `random` answers numbers from 0 up to, not including, 1, as `Math.random` does. */
  constructor(options: BackoffOptions, clock: Clock, random: () => number) {
    this.#options = {
      initialDelayMs: options.initialDelayMs ?? 1_000,
      maxDelayMs: options.maxDelayMs ?? 30_000,
      factor: options.factor ?? 2,
      jitter: options.jitter ?? 0.2,
      maxAttempts: options.maxAttempts ?? Infinity,
    };
    this.#clock = clock;
    this.#random = random;
  }

  /** How many attempts were scheduled since the start or the last {@link reset}. */
  get attempts(): number {
    return this.#attempts;
  }

  /**
   * Schedules the next attempt and answers the wait in ms, or undefined when all attempts are
   * used up. A wait that is under way is replaced.
   */
  schedule(attempt: () => void): number | undefined {
    this.cancel();
    if (this.#attempts >= this.#options.maxAttempts) return undefined;
    const delayMs = this.#delayMs(this.#attempts);
    this.#attempts += 1;
    this.#timer = this.#clock.startTimer(delayMs, () => {
      this.#timer = undefined;
      attempt();
    });
    return delayMs;
  }

  /** Stops the wait that is under way, if any. The count of attempts stays. */
  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Stops the wait that is under way and starts over: the next wait is the first one again. */
  reset(): void {
    this.cancel();
    this.#attempts = 0;
  }

  #delayMs(attemptsBefore: number): number {
    const { initialDelayMs, maxDelayMs, factor, jitter } = this.#options;
    const base = Math.min(initialDelayMs * factor ** attemptsBefore, maxDelayMs);
    const spread = base * (1 + jitter * (2 * this.#random() - 1));
    return Math.min(Math.max(spread, initialDelayMs), maxDelayMs);
  }
}
