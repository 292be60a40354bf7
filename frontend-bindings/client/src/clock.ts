/** A timer that has been started. */
export interface Timer {
  /** Stops the timer. Stopping one that has fired or was stopped does nothing. */
  cancel(): void;
}

/** Where this package takes its time from, so that tests can hold it still. */
export interface Clock {
  /** A time that only moves forward, in milliseconds from an arbitrary start. */
  nowMs(): number;
  /** Calls `callback` once, `afterMs` milliseconds from now. */
  startTimer(afterMs: number, callback: () => void): Timer;
  /** Calls `callback` once, when the code that runs now and the promise jobs it leads to are done. */
  atEndOfTick(callback: () => void): void;
}

/** The longest delay a host timer takes; past it `setTimeout` fires at once. */
const timerMsMax = 2 ** 31 - 1;

/** The real clock, as every JavaScript host has it. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  startTimer(afterMs, callback) {
    const handle = setTimeout(callback, Math.min(afterMs, timerMsMax));
    return { cancel: () => clearTimeout(handle) };
  },
  atEndOfTick: (callback) => queueMicrotask(callback),
};
