import type { Connector, Transport, TransportHandlers } from "../../src/transport.js";
import { Pillion } from "../../src/client.js";
import type { InitializeResult } from "../../src/generated/protocol.js";
import type { PillionOptions } from "../../src/options.js";
import { FakeClock, settlePromises } from "./fake_clock.js";

export interface WireMessage {
  jsonrpc: "2.0";
  id?: number;
  method: string;
  params?: Record<string, any>;
}

/** What the fake process says of itself. */
export function introduction(pid: number): InitializeResult {
  const limits = {
    messageBytesMax: 10_000,
    nestingMax: 256,
    batchMax: 100,
    inFlightCallsMax: 4_096,
    inFlightBytesMax: 1_000_000,
    outboxBytesMax: 1_000_000,
  };
  return { name: "pillion", version: "0", pid, limits, methods: 1, features: [], dataDirectory: "" };
}

/** One life of the fake process: what was sent to it, and what it says. */
export class FakeLife implements Transport {
  readonly processId: number;
  readonly ownsProcess = true;
  /** The JSON texts that were sent, by write. */
  readonly writes: (readonly string[])[] = [];
  ended = false;
  killed = false;

  constructor(
    processId: number,
    readonly handlers: TransportHandlers,
    readonly greets: boolean,
  ) {
    this.processId = processId;
  }

  /** The messages that were sent, batches taken apart. */
  get messages(): WireMessage[] {
    return this.writes.flat().flatMap((text) => JSON.parse(text) as WireMessage | WireMessage[]);
  }

  find(method: string): WireMessage[] {
    return this.messages.filter((message) => message.method === method);
  }

  send(texts: readonly string[]): void {
    this.writes.push(texts);
    const greeting = this.greets ? texts.map((text) => JSON.parse(text)).find(({ method }) => method === "initialize") : undefined;
    if (greeting !== undefined) queueMicrotask(() => this.answer(greeting, introduction(this.processId)));
  }

  answer(request: WireMessage | undefined, result: unknown): void {
    this.handlers.onMessage({ jsonrpc: "2.0", id: request?.id, result });
  }

  refuse(request: WireMessage | undefined, error: object): void {
    this.handlers.onMessage({ jsonrpc: "2.0", id: request?.id, error });
  }

  notify(method: string, params: object): void {
    this.handlers.onMessage({ jsonrpc: "2.0", method, params });
  }

  die(reason = "it was made to"): void {
    this.handlers.onClose({ code: 1, signal: null, reason });
  }

  end(): void {
    this.ended = true;
  }

  kill(): void {
    this.killed = true;
    this.handlers.onClose({ code: null, signal: "SIGKILL", reason: "killed" });
  }
}

/** A fake Pillion in memory, which can be made to die and to fail to start. */
export class FakePillion {
  readonly clock = new FakeClock();
  readonly lives: FakeLife[] = [];
  greets = true;
  startFailure: Error | undefined;

  readonly connector: Connector = (handlers) => {
    if (this.startFailure !== undefined) return Promise.reject(this.startFailure);
    const life = new FakeLife(this.lives.length + 1, handlers, this.greets);
    this.lives.push(life);
    return Promise.resolve(life);
  };

  /** The life that goes on now. */
  get life(): FakeLife {
    const life = this.lives.at(-1);
    if (life === undefined) throw new Error("nothing was started");
    return life;
  }

  connect(options: PillionOptions = {}): Promise<Pillion> {
    return Pillion.open(this.connector, { clock: this.clock, random: () => 0.5, ...options });
  }

  /** Ends the tick and lets promises settle. */
  async tick(): Promise<void> {
    this.clock.endTick();
    await settlePromises();
  }

  /** Moves the time on and lets promises settle. */
  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settlePromises();
  }
}
