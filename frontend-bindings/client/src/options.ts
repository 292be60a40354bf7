import { systemClock, type Clock } from "./clock.js";
import type { ConnectionState, RespawnOptions } from "./connection.js";
import type { PillionError } from "./errors.js";
import type { BatchingOptions } from "./outbox.js";
import { asyncMethods } from "./generated/protocol.js";
import type { ExitInfo } from "./transport.js";

/** What `on` can listen to. */
export interface PillionClientEvents {
  /** The process is gone. `respawnInMs` says when the next one is started; undefined if none is. */
  exit: ExitInfo & { respawnInMs: number | undefined };
  /** A process is there again, and the subscriptions with it. */
  respawn: { attempts: number; processId: number | undefined };
  /** Something went wrong that belongs to no call, such as a failed attempt to respawn. */
  error: PillionError;
  /** The process wrote a line to its log (stderr). */
  log: string;
  /** The connection does something else now. */
  state: ConnectionState;
  /** A notification came that is neither progress nor an event of a subscription. */
  notification: { method: string; params: unknown };
}

/** Answers a request that Pillion makes. What it throws, or rejects with, is the error answered. */
export type RequestHandler = (params: unknown) => unknown;

/** How a client behaves; every member has a default. */
export interface PillionOptions {
  /** How calls of one tick are batched; `false` sends each as a message of its own. */
  batching?: BatchingOptions | false;
  /** Name and version of the app, such as `notes/1.4`, for the log of Pillion. */
  client?: string;
  /** Methods that travel outside batches because they are expected to take long; by default {@link asyncMethods}. */
  unbatchedMethods?: readonly string[];
  /** When a lost process is started again; `false` for never. */
  respawn?: RespawnOptions | false;
  /** The deadline of calls that name none, in ms; none by default. */
  timeoutMs?: number;
  /** How long after its deadline a call is given up although Pillion has not answered, in ms; 1,000 by default. */
  timeoutGuardMs?: number;
  /** How long a new process has to answer its first request, in ms; 10,000 by default. */
  connectTimeoutMs?: number;
  /** How long `close` waits for what is under way before it kills, in ms; 6,000 by default (Pillion itself takes 5,000 at most). */
  closeGraceMs?: number;
  /** How many calls may be unanswered at a time; more are refused with kind `exhausted`. 10,000 by default. */
  maxPendingCalls?: number;
  /** How many messages wait for a process that is being respawned; more are refused likewise. 1,000 by default. */
  maxQueuedMessages?: number;
  /** Where time comes from; for tests. */
  clock?: Clock;
  /** Where the jitter comes from: numbers from 0 up to, not including, 1; for tests. */
  random?: () => number;
}

/** The options with their defaults filled in. */
export interface ResolvedOptions extends Required<Omit<PillionOptions, "batching" | "client" | "timeoutMs">> {
  client: string | undefined;
  batching: BatchingOptions;
  timeoutMs: number | undefined;
}

/** Fills in the defaults. */
export function resolveOptions(options: PillionOptions): ResolvedOptions {
  return {
    client: options.client,
    unbatchedMethods: options.unbatchedMethods ?? asyncMethods,
    respawn: options.respawn ?? {},
    timeoutMs: options.timeoutMs,
    batching: options.batching === false ? { maxCalls: 1 } : (options.batching ?? {}),
    timeoutGuardMs: options.timeoutGuardMs ?? 1_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    closeGraceMs: options.closeGraceMs ?? 6_000,
    maxPendingCalls: options.maxPendingCalls ?? 10_000,
    maxQueuedMessages: options.maxQueuedMessages ?? 1_000,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}
