import { spawn, type ChildProcess } from "node:child_process";
import { Pillion } from "./client.js";
import { systemClock, type Clock } from "./clock.js";
import { PillionError } from "./errors.js";
import { LineDecoder } from "./line_decoder.js";
import type { PillionOptions } from "./options.js";
import { deliverText, type Connector, type ExitInfo, type Transport, type TransportHandlers } from "./transport.js";

/** Which program is started, and how. */
export interface ProcessOptions {
  /** The program: a path, or a name that is looked up on the PATH; `pillion` by default. */
  command?: string;
  /** Its arguments; `["serve"]` by default. */
  args?: readonly string[];
  /** Its working directory; that of this process by default. */
  cwd?: string;
  /** Its whole environment; that of this process by default. */
  env?: Readonly<Record<string, string | undefined>>;
}

/** What {@link connect} takes. */
export interface ConnectOptions extends ProcessOptions, PillionOptions {}

/** The longest line that is taken from the process, in UTF-16 units; above any answer Pillion gives. */
const lineLengthMax = 256 * 1024 * 1024;

/** How long output may be outstanding once the process has exited (a child of it may hold the pipe), in ms. */
const drainMsMax = 1_000;

/** Node's own end of tick: all promise jobs have run by then, so that more calls share a batch. */
export const nodeClock: Clock = {
  ...systemClock,
  atEndOfTick: (callback) => queueMicrotask(() => process.nextTick(callback)),
};

/**
 * Starts Pillion as a child of this process (Node, or the main process of Electron) and connects
 * to it over its stdin and stdout. Rejects with a {@link PillionError} of kind `unavailable` if
 * the program cannot be started.
 */
export function connect(options: ConnectOptions = {}): Promise<Pillion> {
  return Pillion.open(processConnector(options), { clock: nodeClock, ...options });
}

/** The connector behind {@link connect}, for use with `Pillion.open`. */
export function processConnector(options: ProcessOptions = {}): Connector {
  const command = options.command ?? "pillion";
  return (handlers) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, options.args ?? ["serve"], {
        stdio: ["pipe", "pipe", "pipe"],
        windowsHide: true,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.env === undefined ? {} : { env: options.env }),
      });
      child.on("error", (cause) => reject(startError(command, cause)));
      child.once("spawn", () => resolve(new ProcessTransport(child, command, handlers)));
    });
}

class ProcessTransport implements Transport {
  readonly ownsProcess = true;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, command: string, handlers: TransportHandlers) {
    this.#child = child;
    const lines = new LineDecoder((line) => deliverText(line, handlers), {
      lineLengthMax,
      onLineTooLong: () => this.kill(),
    });
    let lastLogLine: string | undefined;
    const logLines = new LineDecoder(
      (line) => {
        lastLogLine = line;
        handlers.onLog(line);
      },
      { lineLengthMax: 64 * 1024 },
    );
    child.stdout?.on("data", (chunk: Uint8Array) => lines.push(chunk));
    child.stderr?.on("data", (chunk: Uint8Array) => logLines.push(chunk));
    // A write that the process did not live to read; its exit is reported anyway.
    child.stdin?.on("error", () => undefined);

    let closed = false;
    const close = (code: number | null, signal: string | null): void => {
      if (closed) return;
      closed = true;
      lines.end();
      logLines.end();
      handlers.onClose(describeExit(command, code, signal, lastLogLine));
    };
    child.once("close", close);
    child.once("exit", (code, signal) => {
      setTimeout(() => close(code, signal), drainMsMax).unref();
    });
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  send(messages: readonly string[]): void {
    if (this.#child.stdin?.writable === true) this.#child.stdin.write(`${messages.join("\n")}\n`);
  }

  end(): void {
    this.#child.stdin?.end();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function startError(command: string, cause: Error): PillionError {
  return new PillionError("unavailable", `${command} could not be started: ${cause.message}`, {
    cause,
    hint: "check that the program is there, may be executed, and is on the PATH if it is given by name",
  });
}

function describeExit(command: string, code: number | null, signal: string | null, lastLogLine: string | undefined): ExitInfo {
  const how = signal === null ? `exited with status ${code}` : `was ended by ${signal}`;
  const detail = lastLogLine === undefined || code === 0 ? "" : `; its last words: ${lastLogLine}`;
  return { code, signal, reason: `${command} ${how}${detail}` };
}

export * from "./index.js";
