/** Lets a caller of `on` stop listening. Calling it twice does nothing more. */
export type StopListening = () => void;

/** A small typed event emitter. Listeners run in the order in which they were added. */
export class Emitter<EventMap extends object> {
  readonly #listeners = new Map<keyof EventMap, Set<(payload: never) => void>>();

  /** Calls `listener` for every event called `name` from now on. */
  on<Name extends keyof EventMap>(name: Name, listener: (payload: EventMap[Name]) => void): StopListening {
    const existing = this.#listeners.get(name);
    const listeners = existing ?? new Set();
    if (existing === undefined) this.#listeners.set(name, listeners);
    const own = (payload: EventMap[Name]): void => listener(payload);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Whether anyone listens to events called `name`. */
  has(name: keyof EventMap): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Calls the listeners of `name`. One that throws does not keep the others from being called. */
  emit<Name extends keyof EventMap>(name: Name, payload: EventMap[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      runGuarded(() => (listener as (payload: EventMap[Name]) => void)(payload));
    }
  }
}

/**
 * Runs code of the user's. What it throws surfaces as an uncaught error, as with any event target,
 * instead of breaking this package.
 */
export function runGuarded(userCode: () => void): void {
  try {
    userCode();
  } catch (error) {
    const { reportError } = globalThis as { reportError?: (error: unknown) => void };
    if (reportError !== undefined) reportError(error);
    else queueMicrotask(() => throwAgain(error));
  }
}

function throwAgain(error: unknown): never {
  throw error;
}
