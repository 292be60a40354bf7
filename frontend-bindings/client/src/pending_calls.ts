import type { Clock, Timer } from "./clock.js";
import type { PillionError } from "./errors.js";
import { runGuarded } from "./emitter.js";

/** How far a call has come, as `$/progress` reports it. */
export interface Progress {
  /** Whether the work begins, goes on or has ended. */
  kind: "begin" | "report" | "end";
  /** What the work is; with `begin`. */
  title?: string;
  /** What is being done now. */
  message?: string;
  /** How much is done, from 0 to 100. */
  percentage?: number;
}

/** A call that waits for its answer. */
export interface PendingCall {
  readonly id: number;
  /** Gets the result, while the response is being read. */
  readonly resolve: (result: unknown) => void;
  /** Gets the error, while the response is being read. */
  readonly reject: (error: PillionError) => void;
  /** Gets the progress of the call. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Whether the call has left this side. */
  sent: boolean;
  /** Undoes what was set up for the call, such as listening to its signal. */
  cleanUp?: () => void;
}

/** The calls that wait for their answers, by id. Each is settled exactly once. */
export class PendingCalls {
  readonly #clock: Clock;
  readonly #calls = new Map<number, PendingCall>();
  readonly #deadlines = new Map<number, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many calls wait. */
  get size(): number {
    return this.#calls.size;
  }

  add(call: PendingCall): void {
    this.#calls.set(call.id, call);
  }

  find(id: number): PendingCall | undefined {
    return this.#calls.get(id);
  }

  /** Calls `expired` after `afterMs` ms unless the call is settled before; replaces the last such wait. */
  setDeadline(id: number, afterMs: number, expired: () => void): void {
    this.#deadlines.get(id)?.cancel();
    this.#deadlines.set(id, this.#clock.startTimer(afterMs, expired));
  }

  /** Answers false if no call has this id any more. */
  resolve(id: number, result: unknown): boolean {
    const call = this.#take(id);
    call?.resolve(result);
    return call !== undefined;
  }

  /** Answers false if no call has this id any more. */
  reject(id: number, error: PillionError): boolean {
    const call = this.#take(id);
    call?.reject(error);
    return call !== undefined;
  }

  /** Rejects the calls that `selects` picks. */
  rejectWhere(selects: (call: PendingCall) => boolean, error: () => PillionError): void {
    for (const call of [...this.#calls.values()]) {
      if (selects(call)) this.reject(call.id, error());
    }
  }

  /** Hands progress to the call whose id is the token. */
  progress(token: unknown, progress: Progress): void {
    const listener = typeof token === "number" ? this.#calls.get(token)?.onProgress : undefined;
    if (listener !== undefined) runGuarded(() => listener(progress));
  }

  #take(id: number): PendingCall | undefined {
    const call = this.#calls.get(id);
    if (call === undefined) return undefined;
    this.#calls.delete(id);
    this.#deadlines.get(id)?.cancel();
    this.#deadlines.delete(id);
    call.cleanUp?.();
    return call;
  }
}
