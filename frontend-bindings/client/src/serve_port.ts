import type { Pillion, Subscription } from "./client.js";
import { PillionError } from "./errors.js";
import type { Progress } from "./pending_calls.js";
import { closePort, listen, type PortLike } from "./port_like.js";
import type { CallOptions, PillionEvent, SubscribeOptions, Topic } from "./types.js";

/** What the other end of a port may do. */
export interface ServePortOptions {
  /**
   * Whether the other end may call this method; what it may not is answered with kind `denied`.
   * By default it may call everything. Stopping the process is never allowed to it.
   */
  allow?: (method: string) => boolean;
}

/** A port that is being served. */
export interface ServedPort {
  /** Ends the service: cancels the calls and the subscriptions that came over the port, and closes it. */
  close(): void;
}

interface Request {
  id?: unknown;
  method?: unknown;
  params?: unknown;
}

const stoppingMethods = new Set(["shutdown", "shutdown_performance_manager"]);

/**
 * Lets the other end of a message port use this connection: a webview, an Electron renderer or a
 * worker, with `connect` of `@pillion/client/port`. Every port has its own ids, progress tokens and
 * subscriptions.
 */
export function servePort(port: PortLike, pillion: Pillion, options: ServePortOptions = {}): ServedPort {
  return new PortBridge(port, pillion, options);
}

class PortBridge implements ServedPort {
  readonly #port: PortLike;
  readonly #pillion: Pillion;
  readonly #allow: (method: string) => boolean;
  readonly #stopListening: () => void;
  readonly #calls = new Map<unknown, AbortController>();
  readonly #subscriptions = new Map<string, Subscription>();
  #nextSubscription = 1;
  #closed = false;

  constructor(port: PortLike, pillion: Pillion, options: ServePortOptions) {
    this.#port = port;
    this.#pillion = pillion;
    const allow = options.allow ?? (() => true);
    this.#allow = (method) => !stoppingMethods.has(method) && allow(method);
    this.#stopListening = listen(port, { onText: (text) => void this.#onText(text), onClose: () => this.close() });
  }

  close(): void {
    if (this.#closed) return;
    this.#post(null);
    this.#closed = true;
    this.#stopListening();
    for (const call of this.#calls.values()) call.abort();
    for (const subscription of this.#subscriptions.values()) void subscription.unsubscribe().catch(() => undefined);
    this.#subscriptions.clear();
    closePort(this.#port);
  }

  async #onText(text: string): Promise<void> {
    const message = parse(text);
    if (!Array.isArray(message)) {
      const answer = await this.#onMember(message, false);
      if (answer !== undefined) this.#post(JSON.stringify(answer));
      return;
    }
    const answers = await Promise.all(message.map((member) => this.#onMember(member, true)));
    const toSend = answers.filter((answer) => answer !== undefined);
    if (toSend.length > 0) this.#post(JSON.stringify(toSend));
  }

  /** `batch` keeps what the other end decided: whether the call may share a batch. */
  async #onMember(member: unknown, batch: boolean): Promise<object | undefined> {
    const { id, method, params } = (typeof member === "object" && member !== null ? member : {}) as Request;
    if (typeof method !== "string") return undefined;
    if (id === undefined) {
      this.#onNotification(method, params as object | undefined);
      return undefined;
    }
    const call = new AbortController();
    this.#calls.set(id, call);
    try {
      return { jsonrpc: "2.0", id, result: await this.#call(method, params as object | undefined, { signal: call.signal, batch }) };
    } catch (error) {
      const known = PillionError.is(error) ? error : new PillionError("internal_error", String(error));
      return { jsonrpc: "2.0", id, error: known.toWire() };
    } finally {
      this.#calls.delete(id);
    }
  }

  #onNotification(method: string, params: object | undefined): void {
    if (method === "$/cancelRequest") {
      this.#calls.get((params as { id?: unknown } | undefined)?.id)?.abort();
    } else if (this.#allow(method)) {
      try {
        this.#pillion.notify(method, params);
      } catch {
        // As over any transport: a notification that fails is never answered.
      }
    }
  }

  #call(method: string, params: object | undefined, options: CallOptions): Promise<unknown> {
    if (!this.#allow(method)) throw new PillionError("denied", `${method} is not allowed over this port`);
    if (method === "events.subscribe") return this.#subscribe(params);
    if (method === "events.unsubscribe") return this.#unsubscribe(params);
    const token = (params as { _meta?: { progressToken?: unknown } } | undefined)?._meta?.progressToken;
    if (token === undefined) return this.#pillion.request(method, params, options);
    const onProgress = (value: Progress): void => this.#notify("$/progress", { token, value });
    return this.#pillion.request(method, params, { ...options, onProgress });
  }

  async #subscribe(params: object | undefined): Promise<object> {
    const { topics, ...options } = params as SubscribeOptions & { topics: Topic[] };
    const id = `port-${this.#nextSubscription++}`;
    const subscription = await this.#pillion.subscribe(topics, options, (event: PillionEvent) => {
      const { name, ...envelope } = event;
      this.#notify(name, { subscription: id, ...envelope });
    });
    if (this.#closed) await subscription.unsubscribe();
    else this.#subscriptions.set(id, subscription);
    return { subscription: id };
  }

  async #unsubscribe(params: object | undefined): Promise<object> {
    const id = (params as { subscription?: unknown } | undefined)?.subscription;
    const subscription = this.#subscriptions.get(id as string);
    if (subscription === undefined) throw new PillionError("not_found", `no subscription ${String(id)}`);
    this.#subscriptions.delete(id as string);
    await subscription.unsubscribe();
    return { ended: true };
  }

  #notify(method: string, params: object): void {
    this.#post(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  #post(text: string | null): void {
    if (!this.#closed) this.#port.postMessage(text);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
