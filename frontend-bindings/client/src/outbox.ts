import type { Clock, Timer } from "./clock.js";

/** How calls that are made together travel together. */
export interface BatchingOptions {
  /** How many calls one batch holds at most; 50 by default, and 1 turns batches off. */
  maxCalls?: number;
  /** How long the JSON text of one batch gets at most, in UTF-16 units; 262,144 by default. */
  maxLength?: number;
  /**
   * How long a call waits for others to join it, in ms. With 0, the default, it waits for the end
   * of the tick in which it was made and no longer.
   */
  maxDelayMs?: number;
}

/** A JSON-RPC message on its way out. */
export interface OutgoingMessage {
  /** The id of the call, or undefined for a notification. */
  readonly id: number | undefined;
  /** The JSON text. */
  readonly text: string;
  /** Whether it may share a batch. A batch is answered when its slowest member is done. */
  readonly batchable: boolean;
  /** Whether it goes out at once, and what has been waiting with it. */
  readonly urgent: boolean;
}

/**
 * Collects messages and hands them on in few writes: messages of one tick that may share a batch
 * become JSON-RPC batches, in their order, as large as the limits allow; the others stand between
 * them as they are. While it is paused (no process is there) it only collects.
 */
export class Outbox {
  readonly #deliver: (texts: readonly string[], messages: readonly OutgoingMessage[]) => void;
  readonly #clock: Clock;
  readonly #chosen: { maxCalls: number; maxLength: number };
  #maxCalls: number;
  #maxLength: number;
  readonly #maxDelayMs: number;
  #waiting: OutgoingMessage[] = [];
  #waitingLength = 0;
  #paused = true;
  #timer: Timer | undefined;

  /** Starts paused. `deliver` gets JSON texts to be sent in one write, and what they consist of. */
  constructor(
    options: BatchingOptions,
    clock: Clock,
    deliver: (texts: readonly string[], messages: readonly OutgoingMessage[]) => void,
  ) {
    this.#deliver = deliver;
    this.#clock = clock;
    this.#chosen = { maxCalls: options.maxCalls ?? 50, maxLength: options.maxLength ?? 256 * 1024 };
    this.#maxCalls = this.#chosen.maxCalls;
    this.#maxLength = this.#chosen.maxLength;
    this.#maxDelayMs = options.maxDelayMs ?? 0;
  }

  /** How many messages wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Keeps batches within what the process takes. A UTF-16 unit becomes three bytes at most. */
  limit({ batchMax, messageBytesMax }: { batchMax: number; messageBytesMax: number }): void {
    this.#maxCalls = Math.min(this.#chosen.maxCalls, batchMax);
    this.#maxLength = Math.min(this.#chosen.maxLength, Math.floor(messageBytesMax / 3));
  }

  /** Adds a message. It goes out at the end of the tick, or when a limit is reached. */
  add(message: OutgoingMessage): void {
    this.#waiting.push(message);
    this.#waitingLength += message.text.length;
    if (this.#paused) return;
    const full = this.#waiting.length >= this.#maxCalls || this.#waitingLength >= this.#maxLength;
    if (message.urgent || full) this.flush();
    else this.#timer ??= this.#startWait();
  }

  /** Takes back the call with this id. Answers false if it is no longer here. */
  remove(id: number): boolean {
    const index = this.#waiting.findIndex((message) => message.id === id);
    if (index < 0) return false;
    const [removed] = this.#waiting.splice(index, 1);
    this.#waitingLength -= removed?.text.length ?? 0;
    return true;
  }

  /** Sends what waits, now. Does nothing while paused. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#paused || this.#waiting.length === 0) return;
    const messages = this.#takeAll();
    this.#deliver(this.#pack(messages), messages);
  }

  /** Stops sending: from now on messages are only collected. */
  pause(): void {
    this.#paused = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Sends what was collected and goes on as usual. */
  resume(): void {
    this.#paused = false;
    this.flush();
  }

  /** Throws away what waits. */
  clear(): void {
    this.#takeAll();
  }

  #takeAll(): OutgoingMessage[] {
    const messages = this.#waiting;
    this.#waiting = [];
    this.#waitingLength = 0;
    return messages;
  }

  #startWait(): Timer {
    if (this.#maxDelayMs > 0) return this.#clock.startTimer(this.#maxDelayMs, () => this.flush());
    let cancelled = false;
    this.#clock.atEndOfTick(() => {
      if (!cancelled) this.flush();
    });
    return { cancel: () => void (cancelled = true) };
  }

  #pack(messages: readonly OutgoingMessage[]): string[] {
    const texts: string[] = [];
    let batch: string[] = [];
    let batchLength = 0;
    const closeBatch = (): void => {
      if (batch.length > 1) texts.push(`[${batch.join(",")}]`);
      else if (batch.length === 1) texts.push(...batch);
      batch = [];
      batchLength = 0;
    };
    for (const { text, batchable } of messages) {
      if (!batchable) {
        closeBatch();
        texts.push(text);
        continue;
      }
      if (batch.length >= this.#maxCalls || batchLength + text.length > this.#maxLength) closeBatch();
      batch.push(text);
      batchLength += text.length;
    }
    closeBatch();
    return texts;
  }
}
