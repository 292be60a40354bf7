import { Pillion } from "./client.js";
import { PillionError } from "./errors.js";
import { LineDecoder, type Chunk } from "./line_decoder.js";
import type { PillionOptions } from "./options.js";
import { deliverText, type Connector, type Transport, type TransportHandlers } from "./transport.js";

/** What is used of `Command` of `@tauri-apps/plugin-shell`. */
export interface TauriCommand {
  readonly stdout: TauriOutput;
  readonly stderr: TauriOutput;
  on(name: "close", listener: (payload: TauriExit) => void): unknown;
  on(name: "error", listener: (message: string) => void): unknown;
  spawn(): Promise<TauriChild>;
}

/** The output of a command: lines as text, or bytes with `encoding: "raw"`. */
export interface TauriOutput {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- string or Uint8Array, by the command's type
  on(name: "data", listener: (chunk: any) => void): unknown;
}

/** How a command ended. */
export interface TauriExit {
  code: number | null;
  signal: number | null;
}

/** A command that runs. */
export interface TauriChild {
  readonly pid: number;
  write(data: string): Promise<void>;
  kill(): Promise<void>;
}

/** What {@link connect} takes. */
export interface ConnectOptions extends PillionOptions {
  /** Makes the command, anew for each start: `() => Command.sidecar("binaries/pillion", ["serve"])`. */
  command: () => TauriCommand;
}

/** The longest message that is taken from the process, in UTF-16 units; above any answer Pillion gives. */
const lineLengthMax = 256 * 1024 * 1024;

/**
 * Starts Pillion through Tauri's shell plugin and connects to it, from a webview. Rejects with a
 * {@link PillionError} of kind `unavailable` if the program cannot be started, for example because
 * no capability of the app allows it.
 */
export function connect(options: ConnectOptions): Promise<Pillion> {
  return Pillion.open(tauriConnector(options.command), options);
}

/** The connector behind {@link connect}, for use with `Pillion.open`. */
export function tauriConnector(makeCommand: () => TauriCommand): Connector {
  return async (handlers) => {
    const command = makeCommand();
    const transport = new TauriTransport(command, handlers);
    try {
      transport.child = await command.spawn();
    } catch (cause) {
      throw new PillionError("unavailable", `Pillion could not be started: ${String(cause)}`, {
        cause,
        hint: "check bundle.externalBin in tauri.conf.json and the shell:allow-spawn permission",
      });
    }
    return transport;
  };
}

class TauriTransport implements Transport {
  readonly ownsProcess = true;
  readonly #handlers: TransportHandlers;
  #waiting: string[] = [];
  #writing = false;
  #closed = false;
  child: TauriChild | undefined;

  constructor(command: TauriCommand, handlers: TransportHandlers) {
    this.#handlers = handlers;
    const lines = new LineDecoder((line) => deliverText(line, handlers), {
      lineLengthMax,
      lineEndOptional: true,
      onLineTooLong: () => this.kill(),
    });
    // The plugin delivers a line of the log as one chunk, with or without its line end.
    const onLog = (chunk: Chunk): void => {
      const text = typeof chunk === "string" ? chunk : new TextDecoder().decode(Uint8Array.from(chunk));
      if (text.trim() !== "") handlers.onLog(text.trimEnd());
    };
    command.stdout.on("data", (chunk: Chunk) => lines.push(chunk));
    command.stderr.on("data", onLog);
    command.on("error", (message) => handlers.onFault(new PillionError("internal_error", `the shell plugin reports: ${message}`)));
    command.on("close", ({ code, signal }) => {
      lines.end();
      const how = signal === null ? `exited with status ${code}` : `was ended by signal ${signal}`;
      this.#close({ code, signal: signal === null ? null : String(signal), reason: `pillion ${how}` });
    });
  }

  get processId(): number | undefined {
    return this.child?.pid;
  }

  /** Writes go through asynchronous commands that may overtake each other: one at a time keeps their order. */
  send(messages: readonly string[]): void {
    this.#waiting.push(...messages);
    if (!this.#writing) void this.#writeAll();
  }

  /** The plugin cannot close a process's stdin; the `shutdown` request, sent before this, does the same. */
  end(): void {}

  kill(): void {
    void this.child?.kill().catch(() => undefined);
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0 && !this.#closed) {
      const text = `${this.#waiting.join("\n")}\n`;
      this.#waiting = [];
      try {
        await this.child?.write(text);
      } catch (cause) {
        // The child is lost to the plugin; without this no exit would ever be seen.
        this.kill();
        this.#close({ code: null, signal: null, reason: `pillion no longer takes input: ${String(cause)}` });
      }
    }
    this.#writing = false;
  }

  #close(exit: Parameters<TransportHandlers["onClose"]>[0]): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers.onClose(exit);
  }
}

export * from "./index.js";
