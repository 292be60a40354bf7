import { closedError, Connection, lostError, stoppedError, type ConnectionState } from "./connection.js";
import { Emitter, type StopListening } from "./emitter.js";
import { encodeCall, encodeMessage, encodeNotification, isLongerThan } from "./encode.js";
import { PillionError, type WireError } from "./errors.js";
import { resolveOptions, type PillionClientEvents, type PillionOptions, type RequestHandler, type ResolvedOptions } from "./options.js";
import { Outbox, type OutgoingMessage } from "./outbox.js";
import { PendingCalls, type PendingCall, type Progress } from "./pending_calls.js";
import { Subscriptions, type SubscriptionEntry } from "./subscriptions.js";
import type { Connector, ExitInfo } from "./transport.js";
import type {
  BackendMethodName,
  CallArguments,
  CallOptions,
  EventOf,
  MethodName,
  ParamsOf,
  PillionEvent,
  ResultOf,
  SubscribeOptions,
  Topic,
} from "./types.js";

/** A subscription that is open. It survives a respawn. */
export interface Subscription {
  /** What was subscribed to. */
  readonly topics: readonly string[];
  /** Whether events can still come. */
  readonly active: boolean;
  /** Ends the subscription. No event is delivered once this was called. */
  unsubscribe(): Promise<void>;
}

/** A connection to Pillion: calls, notifications, subscriptions, and a process that comes back when it is lost. */
export class Pillion {
  readonly #options: ResolvedOptions;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #pending: PendingCalls;
  readonly #subscriptions = new Subscriptions();
  readonly #events = new Emitter<PillionClientEvents>();
  readonly #requestHandlers = new Map<string, RequestHandler>();
  readonly #unbatched: ReadonlySet<string>;
  #nextId = 1;
  #lastExit: ExitInfo | undefined;
  #server: ResultOf<"initialize"> | undefined;

  private constructor(connector: Connector, options: PillionOptions) {
    this.#options = resolveOptions(options);
    const { clock } = this.#options;
    this.#unbatched = new Set(this.#options.unbatchedMethods);
    this.#pending = new PendingCalls(clock);
    this.#outbox = new Outbox(this.#options.batching, clock, (texts, messages) => this.#deliver(texts, messages));
    this.#connection = new Connection(
      connector,
      {
        prepare: () => this.#prepare(),
        sayGoodbye: () => this.#sayGoodbye(),
        onMessage: (message) => this.#onMessage(message),
        onFault: (error) => this.#events.emit("error", error),
        onLog: (line) => this.#events.emit("log", line),
        onState: (state) => this.#onState(state),
        onLost: (exit) => this.#onLost(exit),
        onExit: (exit, respawnInMs) => this.#events.emit("exit", { ...exit, respawnInMs }),
        onAttemptFailed: (error) => this.#events.emit("error", error),
        onReady: (attempts) => this.#onReady(attempts),
      },
      this.#options,
    );
  }

  /**
   * Opens a connection over any transport; `connect` of the entry points for Node, Tauri and
   * message ports are made of it. Rejects if the first process cannot be started or greeted.
   */
  static async open(connector: Connector, options: PillionOptions = {}): Promise<Pillion> {
    const pillion = new Pillion(connector, options);
    await pillion.#connection.open();
    return pillion;
  }

  /** What the connection is doing. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** The id of the process that is there now, where the transport knows it. */
  get processId(): number | undefined {
    return this.#connection.transport?.processId;
  }

  /** What the process said of itself when it was greeted: version, limits, features. */
  get server(): ResultOf<"initialize"> {
    if (this.#server === undefined) throw closedError();
    return this.#server;
  }

  /**
   * Calls a method. Rejects with a {@link PillionError}: what Pillion answered; `cancelled` when
   * the signal is aborted; `timeout` past the deadline; `unavailable` (retryable) when the process
   * is lost under way. While a process is respawned, new calls wait for it.
   */
  call<Method extends MethodName>(method: Method, ...rest: CallArguments<ParamsOf<Method>>): Promise<ResultOf<Method>>;
  call<Result = unknown>(method: BackendMethodName, params?: object, options?: CallOptions): Promise<Result>;
  call(method: string, params?: object, options?: CallOptions): Promise<unknown> {
    return this.request(method, params, options);
  }

  /** Calls a method whose name is known only at run time; otherwise as {@link call}. */
  request(method: string, params?: object, options: CallOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => this.#issue(method, params, options, { resolve, reject }));
  }

  /** Sends a notification: no answer, and no word of whether it worked. Throws a {@link PillionError} if it cannot be sent or queued. */
  notify(method: string, params?: object): void {
    this.#requireOpen();
    this.#requireRoom();
    const text = encodeNotification(method, params);
    this.#requireFit(method, text);
    this.#outbox.add({ id: undefined, text, batchable: true, urgent: false });
  }

  /** Answers requests that Pillion makes for `method`; the last handler of a method counts. */
  handle(method: string, handler: RequestHandler): void {
    this.#requestHandlers.set(method, handler);
  }

  /**
   * Subscribes to topics. The listener gets every event until `unsubscribe`, also those of
   * processes started after this one is lost. Rejects as {@link call} does.
   */
  subscribe<T extends Topic>(
    topics: readonly T[],
    options: SubscribeOptions,
    listener: (event: EventOf<T>) => void,
  ): Promise<Subscription> {
    const entry: SubscriptionEntry = {
      params: { ...options, topics },
      listener: listener as (event: PillionEvent) => void,
      serverId: undefined,
      closed: false,
    };
    return this.#bind(entry, "queued").then(() => ({
      topics,
      get active() {
        return !entry.closed;
      },
      unsubscribe: () => this.#unsubscribe(entry),
    }));
  }

  /** Calls `listener` for what happens to the connection. Answers a function that stops it. */
  on<Name extends keyof PillionClientEvents>(
    name: Name,
    listener: (payload: PillionClientEvents[Name]) => void,
  ): StopListening {
    return this.#events.on(name, listener);
  }

  /** Sends what waits for the end of the tick, now. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Starts a missing process now instead of later, and counts its attempts from zero. */
  respawnNow(): void {
    this.#connection.respawnNow();
  }

  /** Gives up on a missing process: what waits for it rejects. `respawnNow` takes it up again. */
  cancelRespawn(): void {
    this.#connection.cancelRespawn();
  }

  /**
   * Closes the connection: asks Pillion to finish what it has accepted, waits for it to exit, and
   * kills it once the grace is over. Calls that are not answered by then reject. Never rejects.
   */
  async close(): Promise<void> {
    this.#outbox.flush();
    await this.#connection.close();
  }

  #issue(
    method: string,
    params: object | undefined,
    given: CallOptions,
    settle: Pick<PendingCall, "resolve" | "reject">,
    route: "queued" | "direct" = "queued",
  ): void {
    const { timeoutMs = this.#options.timeoutMs, signal } = given;
    // Params by position leave no place for a deadline on the wire; the default one is then kept on this side alone.
    const staysHere = timeoutMs === undefined || (given.timeoutMs === undefined && Array.isArray(params));
    const options = staysHere ? given : { ...given, timeoutMs: Math.ceil(timeoutMs) };
    const id = this.#nextId++;
    try {
      if (signal?.aborted === true) throw cancelledError(method, signal);
      if (route === "queued") this.#requireOpen();
      if (route === "queued") this.#requireRoom();
      const text = encodeCall(id, method, params, options);
      this.#requireFit(method, text);
      const call: PendingCall = { id, ...settle, onProgress: options.onProgress, sent: false };
      this.#pending.add(call);
      if (timeoutMs !== undefined) this.#watchDeadline(call, method, timeoutMs);
      if (signal !== undefined) this.#watchSignal(call, method, signal);
      const message = { id, text, batchable: this.#isBatchable(method, given), urgent: given.priority === "critical" };
      if (route === "queued") this.#outbox.add(message);
      else this.#deliver([text], [message]);
    } catch (error) {
      settle.reject(error as PillionError);
    }
  }

  #isBatchable(method: string, options: CallOptions): boolean {
    if (options.batch !== undefined) return options.batch;
    const answersEarly = options.onProgress === undefined && options.timeoutMs === undefined;
    return answersEarly && !this.#unbatched.has(method) && !method.includes("/");
  }

  #requireOpen(): void {
    const { state } = this.#connection;
    if (state === "closing" || state === "closed") throw closedError();
    if (state === "stopped") throw this.#stopped();
  }

  #requireRoom(): void {
    const { maxPendingCalls, maxQueuedMessages } = this.#options;
    if (this.#pending.size >= maxPendingCalls) {
      throw new PillionError("exhausted", `${maxPendingCalls} calls are unanswered, which is the limit`, {
        retryable: true,
        hint: "await some of them first, or raise maxPendingCalls",
      });
    }
    if (this.#connection.state !== "ready" && this.#outbox.size >= maxQueuedMessages) {
      throw new PillionError("exhausted", `${maxQueuedMessages} messages wait for the respawn, which is the limit`, {
        retryable: true,
        hint: "wait for the respawn event, or raise maxQueuedMessages",
      });
    }
  }

  /** Pillion skips a message over its limit without knowing whose it is, and so could not answer the call. */
  #requireFit(what: string, text: string): void {
    const bytesMax = this.#server?.limits.messageBytesMax;
    if (bytesMax === undefined || !isLongerThan(text, bytesMax)) return;
    throw new PillionError("invalid_request", `the message for ${what} is larger than ${bytesMax} bytes, which is the limit`, {
      hint: "hand large values over as files, or raise ipc.messageBytesMax",
    });
  }

  #watchDeadline(call: PendingCall, method: string, timeoutMs: number): void {
    const giveUp = (): void => {
      this.#withdraw(call);
      const message = `${method} was not answered within ${timeoutMs} ms`;
      this.#pending.reject(call.id, new PillionError("timeout", message, { retryable: true }));
    };
    this.#pending.setDeadline(call.id, timeoutMs, () => {
      if (call.sent) this.#pending.setDeadline(call.id, this.#options.timeoutGuardMs, giveUp);
      else giveUp();
    });
  }

  #watchSignal(call: PendingCall, method: string, signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#withdraw(call);
      this.#pending.reject(call.id, cancelledError(method, signal));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    call.cleanUp = () => signal.removeEventListener("abort", onAbort);
  }

  /** Takes a call back before it has left, or asks Pillion to stop it. */
  #withdraw(call: PendingCall): void {
    if (this.#outbox.remove(call.id) || !call.sent) return;
    this.#connection.transport?.send([encodeNotification("$/cancelRequest", { id: call.id })]);
  }

  #deliver(texts: readonly string[], messages: readonly OutgoingMessage[]): void {
    for (const { id } of messages) {
      const call = id === undefined ? undefined : this.#pending.find(id);
      if (call !== undefined) call.sent = true;
    }
    this.#connection.transport?.send(texts);
  }

  async #prepare(): Promise<void> {
    const options = { timeoutMs: this.#options.connectTimeoutMs };
    this.#server = await new Promise<ResultOf<"initialize">>((resolve, reject) => {
      const settle = { resolve: resolve as (result: unknown) => void, reject };
      const { client } = this.#options;
      this.#issue("initialize", client === undefined ? {} : { client }, options, settle, "direct");
    });
    this.#outbox.limit(this.#server.limits);
    await Promise.all(this.#subscriptions.entries.map((entry) => this.#replay(entry)));
  }

  async #replay(entry: SubscriptionEntry): Promise<void> {
    try {
      await this.#bind(entry, "direct");
    } catch (error) {
      if (this.#connection.transport === undefined) throw error;
      this.#subscriptions.remove(entry);
      this.#events.emit("error", error as PillionError);
    }
  }

  #bind(entry: SubscriptionEntry, route: "queued" | "direct"): Promise<void> {
    this.#subscriptions.expect();
    const options = { batch: false, ...(route === "direct" ? { timeoutMs: this.#options.connectTimeoutMs } : {}) };
    return new Promise<void>((resolve, reject) => {
      // Bound while the response is read: the next line may hold the first event already.
      const onResult = (result: unknown): void => {
        const subscription = (result as { subscription?: string } | null)?.subscription;
        if (subscription === undefined) {
          reject(new PillionError("internal_error", "the answer to events.subscribe names no subscription"));
          return;
        }
        if (!entry.closed) this.#subscriptions.bind(entry, subscription);
        else this.#sendUnsubscribe(subscription, { resolve: () => undefined, reject: () => undefined });
        resolve();
      };
      this.#issue("events.subscribe", entry.params, options, { resolve: onResult, reject }, route);
    }).finally(() => this.#subscriptions.settle());
  }

  #unsubscribe(entry: SubscriptionEntry): Promise<void> {
    const { serverId } = entry;
    this.#subscriptions.remove(entry);
    if (serverId === undefined || this.#connection.state !== "ready") return Promise.resolve();
    entry.serverId = undefined;
    return new Promise((resolve, reject) => {
      // With the process gone, so is the subscription: that is as good as an answer.
      const onError = (error: PillionError): void => (error.kind === "unavailable" ? resolve() : reject(error));
      this.#sendUnsubscribe(serverId, { resolve: () => resolve(), reject: onError });
    });
  }

  #sendUnsubscribe(subscription: string, settle: Pick<PendingCall, "resolve" | "reject">): void {
    this.#issue("events.unsubscribe", { subscription }, {}, settle, "direct");
  }

  #sayGoodbye(): void {
    const settle = { resolve: () => undefined, reject: () => undefined };
    this.#issue("shutdown", {}, {}, settle, "direct");
  }

  #onReady(attempts: number): void {
    this.#outbox.resume();
    if (attempts > 0) this.#events.emit("respawn", { attempts, processId: this.processId });
  }

  #onLost(exit: ExitInfo): void {
    this.#lastExit = exit;
    this.#outbox.pause();
    this.#subscriptions.unbindAll();
    this.#pending.rejectWhere((call) => call.sent, () => lostError(exit));
  }

  #onState(state: ConnectionState): void {
    if (state === "closing" || state === "closed" || state === "stopped") this.#dropQueued(state);
    this.#events.emit("state", state);
  }

  #dropQueued(state: ConnectionState): void {
    this.#outbox.clear();
    const reason = state === "stopped" ? () => this.#stopped() : closedError;
    this.#pending.rejectWhere((call) => state === "closed" || !call.sent, reason);
  }

  #stopped(): PillionError {
    return this.#lastExit === undefined ? closedError() : stoppedError(this.#lastExit);
  }

  #onMessage(message: unknown): void {
    if (Array.isArray(message)) message.forEach((member) => this.#onMember(member));
    else this.#onMember(message);
  }

  #onMember(member: unknown): void {
    const { id, method, params, result, error } = (typeof member === "object" && member !== null ? member : {}) as {
      id?: unknown;
      method?: unknown;
      params?: unknown;
      result?: unknown;
      error?: WireError;
    };
    if (typeof method === "string") {
      if (id === undefined) this.#onNotification(method, params);
      else void this.#onRequest(id, method, params);
    } else if (error !== undefined) {
      const known = typeof id === "number" && (this.#pending.reject(id, PillionError.fromWire(error)) || id < this.#nextId);
      if (!known) this.#events.emit("error", PillionError.fromWire(error));
    } else if (typeof id === "number" && result !== undefined) {
      this.#pending.resolve(id, result);
    } else {
      this.#events.emit("error", new PillionError("invalid_request", `Pillion sent what is no message: ${JSON.stringify(member)}`));
    }
  }

  #onNotification(method: string, params: unknown): void {
    if (method === "$/progress") {
      const { token, value } = (params ?? {}) as { token?: unknown; value?: Progress };
      if (value !== undefined) this.#pending.progress(token, value);
    } else if (!this.#subscriptions.deliver(method, params)) {
      this.#events.emit("notification", { method, params });
    }
  }

  async #onRequest(id: unknown, method: string, params: unknown): Promise<void> {
    let answer: string;
    try {
      const handler = this.#requestHandlers.get(method);
      if (handler === undefined) throw new PillionError("method_not_found", `this client does not handle ${method}`);
      answer = encodeMessage({ jsonrpc: "2.0", id, result: (await handler(params)) ?? {} });
      this.#requireFit(`the answer to ${method}`, answer);
    } catch (error) {
      const wire = PillionError.is(error) ? error : new PillionError("internal_error", String(error));
      answer = encodeMessage({ jsonrpc: "2.0", id, error: wire.toWire() });
    }
    this.#connection.transport?.send([answer]);
  }
}

function cancelledError(method: string, signal: AbortSignal): PillionError {
  return new PillionError("cancelled", `${method} was cancelled`, { cause: signal.reason });
}
