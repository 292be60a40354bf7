import type { EventName, PillionEvent } from "./types.js";
import { runGuarded } from "./emitter.js";

/** The params of an event's notification. */
interface EventParams {
  subscription: string;
  seq: number;
  dropped: number;
  at: number;
  data: unknown;
}

/** What was subscribed to. It outlives the process, whose id for it changes with every respawn. */
export interface SubscriptionEntry {
  readonly params: object;
  readonly listener: (event: PillionEvent) => void;
  serverId: string | undefined;
  closed: boolean;
}

/** How many events are kept that came before the answer to their subscription. */
const earlyEventsMax = 256;

/** The subscriptions that are open, and the way from an event to its listener. */
export class Subscriptions {
  readonly #entries = new Set<SubscriptionEntry>();
  readonly #byServerId = new Map<string, SubscriptionEntry>();
  #awaited = 0;
  #early: { name: string; params: EventParams }[] = [];

  /** The entries that are open. */
  get entries(): readonly SubscriptionEntry[] {
    return [...this.#entries];
  }

  /** Says that an answer to `events.subscribe` is awaited: events may overtake it and are kept. */
  expect(): void {
    this.#awaited += 1;
  }

  /** Says that an awaited answer has come, or will not. */
  settle(): void {
    this.#awaited -= 1;
    if (this.#awaited === 0) this.#early = [];
  }

  /** Ties an entry to the id of the process that is there now, and delivers what came early. */
  bind(entry: SubscriptionEntry, serverId: string): void {
    this.#entries.add(entry);
    entry.serverId = serverId;
    this.#byServerId.set(serverId, entry);
    const early = this.#early.filter(({ params }) => params.subscription === serverId);
    this.#early = this.#early.filter(({ params }) => params.subscription !== serverId);
    for (const { name, params } of early) this.deliver(name, params);
  }

  /** Closes an entry: nothing is delivered to it any more. */
  remove(entry: SubscriptionEntry): void {
    entry.closed = true;
    this.#entries.delete(entry);
    if (entry.serverId !== undefined) this.#byServerId.delete(entry.serverId);
  }

  /** Says that the process is gone, and its ids with it. */
  unbindAll(): void {
    this.#byServerId.clear();
    this.#early = [];
    for (const entry of this.#entries) entry.serverId = undefined;
  }

  /** Hands an event to its listener. Answers false if the notification is no event. */
  deliver(name: string, params: unknown): boolean {
    if (!isEventParams(params)) return false;
    const entry = this.#byServerId.get(params.subscription);
    if (entry !== undefined) {
      runGuarded(() => entry.listener(toEvent(name, params)));
    } else if (this.#awaited > 0) {
      this.#early.push({ name, params });
      if (this.#early.length > earlyEventsMax) this.#early.shift();
    }
    return true;
  }
}

function isEventParams(params: unknown): params is EventParams {
  if (typeof params !== "object" || params === null) return false;
  return typeof (params as { subscription?: unknown }).subscription === "string" && "data" in params;
}

function toEvent(name: string, { seq, dropped, at, data }: EventParams): PillionEvent {
  return { name: name as EventName, seq, dropped, at, data } as PillionEvent;
}
