import { Backoff, type BackoffOptions } from "./backoff.js";
import type { Clock, Timer } from "./clock.js";
import { PillionError } from "./errors.js";
import type { Connector, ExitInfo, Transport, TransportHandlers } from "./transport.js";

/**
 * What a connection is doing. `connecting`: starting a process. `ready`: calls go out.
 * `waiting`: the process is lost and the next attempt is scheduled. `stopped`: it is lost and no
 * attempt is scheduled. `closing` and `closed`: `close()` was called.
 */
export type ConnectionState = "connecting" | "ready" | "waiting" | "stopped" | "closing" | "closed";

/** What a connection tells the client that owns it. */
export interface ConnectionHooks extends Omit<TransportHandlers, "onClose"> {
  /** A process is there: greet it and give it back its subscriptions. Rejects if that fails. */
  prepare(): Promise<void>;
  /** Calls may go out. `attempts` is 0 the first time, else how many starts were tried. */
  onReady(attempts: number): void;
  /** The process is gone, at whatever stage: what it was asked will not be answered. */
  onLost(exit: ExitInfo): void;
  /** A process that was ready is gone. `respawnInMs` is undefined if no attempt follows. */
  onExit(exit: ExitInfo, respawnInMs: number | undefined): void;
  /** An attempt to bring the process back failed before there was a connection. */
  onAttemptFailed(error: PillionError, respawnInMs: number | undefined): void;
  /** Says goodbye to a process that is owned. */
  sayGoodbye(): void;
  onState(state: ConnectionState): void;
}

/** When and how a lost process is brought back. */
export interface RespawnOptions extends BackoffOptions {
  /** How long a process must have lived for its loss to count as a first one again, in ms; 60,000 by default. */
  resetAfterMs?: number;
}

/** How a connection is kept. */
export interface ConnectionOptions {
  respawn: RespawnOptions | false;
  closeGraceMs: number;
  clock: Clock;
  random: () => number;
}

/** One life of a process, from its start to its exit. */
interface Life {
  transport: Transport | undefined;
  exit: ExitInfo | undefined;
  onExit: (() => void) | undefined;
}

/** Keeps one process at the other end: starts it, brings it back when it is lost, and stops it. */
export class Connection {
  readonly #connector: Connector;
  readonly #hooks: ConnectionHooks;
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #state: ConnectionState = "connecting";
  #life: Life | undefined;
  #readySinceMs = 0;
  #attempts = 0;
  #closing: Promise<void> | undefined;

  constructor(connector: Connector, hooks: ConnectionHooks, options: ConnectionOptions) {
    this.#connector = connector;
    this.#hooks = hooks;
    this.#options = options;
    const backoff = options.respawn === false ? { maxAttempts: 0 } : options.respawn;
    this.#backoff = new Backoff(backoff, options.clock, options.random);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The transport that is open, also while it is being prepared. */
  get transport(): Transport | undefined {
    return this.#life?.exit === undefined ? this.#life?.transport : undefined;
  }

  /** Starts the first process. Rejects if that fails; there is no second attempt then. */
  async open(): Promise<void> {
    try {
      await this.#start();
    } catch (error) {
      this.#life?.transport?.kill();
      this.#setState("closed");
      throw asPillionError(error);
    }
  }

  /** Forgets the attempts so far and starts a process now. Does nothing unless one is missing. */
  respawnNow(): void {
    if (this.#state !== "waiting" && this.#state !== "stopped") return;
    this.#backoff.reset();
    void this.#attempt();
  }

  /** Makes no further attempt. Does nothing unless one is scheduled. */
  cancelRespawn(): void {
    if (this.#state !== "waiting") return;
    this.#backoff.cancel();
    this.#setState("stopped");
  }

  /** Stops for good: politely, and by force once the grace is over. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<void> {
    const life: Life = { transport: undefined, exit: undefined, onExit: undefined };
    this.#life = life;
    this.#setState("connecting");
    const current = (): boolean => this.#life === life;
    life.transport = await this.#connector({
      onMessage: (message) => current() && this.#hooks.onMessage(message),
      onFault: (error) => current() && this.#hooks.onFault(error),
      onLog: (line) => current() && this.#hooks.onLog(line),
      onClose: (exit) => {
        life.exit = exit;
        if (current()) this.#onClose(exit);
        life.onExit?.();
      },
    });
    if (this.#state !== "connecting") {
      life.transport.kill();
      throw closedError();
    }
    if (life.exit === undefined) await this.#hooks.prepare();
    if (life.exit !== undefined) throw lostError(life.exit);
    if (this.#state !== "connecting") throw closedError();
    this.#readySinceMs = this.#options.clock.nowMs();
    this.#setState("ready");
    this.#hooks.onReady(this.#attempts);
    this.#attempts = 0;
  }

  async #attempt(): Promise<void> {
    this.#attempts += 1;
    try {
      await this.#start();
    } catch (error) {
      this.#life?.transport?.kill();
      if (this.#state !== "connecting") return;
      const respawnInMs = this.#scheduleAttempt();
      this.#hooks.onAttemptFailed(asPillionError(error), respawnInMs);
    }
  }

  #scheduleAttempt(): number | undefined {
    const respawnInMs = this.#backoff.schedule(() => void this.#attempt());
    this.#setState(respawnInMs === undefined ? "stopped" : "waiting");
    return respawnInMs;
  }

  #onClose(exit: ExitInfo): void {
    this.#hooks.onLost(exit);
    if (this.#state === "closing") this.#hooks.onExit(exit, undefined);
    if (this.#state !== "ready") return;
    const livedMs = this.#options.clock.nowMs() - this.#readySinceMs;
    const { respawn } = this.#options;
    if (respawn !== false && livedMs >= (respawn.resetAfterMs ?? 60_000)) this.#backoff.reset();
    this.#hooks.onExit(exit, this.#scheduleAttempt());
  }

  async #close(): Promise<void> {
    if (this.#state === "closed") return;
    const wasReady = this.#state === "ready";
    this.#backoff.cancel();
    this.#setState("closing");
    const life = this.#life;
    const transport = this.transport;
    if (life !== undefined && transport !== undefined) {
      if (wasReady && transport.ownsProcess) this.#hooks.sayGoodbye();
      transport.end();
      if (!wasReady) transport.kill();
      await this.#exitWithin(life, this.#options.closeGraceMs, () => transport.kill());
    }
    this.#setState("closed");
  }

  /** Waits for the end of a life; calls `force` after `graceMs`, and gives up one more second later. */
  #exitWithin(life: Life, graceMs: number, force: () => void): Promise<void> {
    if (life.exit !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      let timer: Timer = this.#options.clock.startTimer(graceMs, () => {
        timer = this.#options.clock.startTimer(1_000, resolve);
        force();
      });
      life.onExit = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#hooks.onState(state);
  }
}

/** What calls get that were made, or under way, when the process was lost. */
export function lostError(exit: ExitInfo): PillionError {
  return new PillionError("unavailable", `the connection to Pillion was lost: ${exit.reason}`, {
    retryable: true,
  });
}

/** What calls get when the process is lost and nothing brings it back. */
export function stoppedError(exit: ExitInfo): PillionError {
  return new PillionError("unavailable", `Pillion is not running and is not being restarted: ${exit.reason}`, {
    hint: "respawnNow() starts it again",
  });
}

/** What calls get once `close()` was called. */
export function closedError(): PillionError {
  return new PillionError("unavailable", "the connection to Pillion is closed");
}

function asPillionError(error: unknown): PillionError {
  if (PillionError.is(error)) return error;
  return new PillionError("unavailable", `Pillion could not be started: ${String(error)}`, { cause: error });
}
