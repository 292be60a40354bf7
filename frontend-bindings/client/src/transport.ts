import { PillionError } from "./errors.js";

/** How a connection came to its end. */
export interface ExitInfo {
  /** The exit status of the process, where there is a process that ended by itself. */
  code: number | null;
  /** The signal that ended the process, such as `SIGKILL` (Tauri gives its number). */
  signal: string | null;
  /** What happened, in one sentence for people. */
  reason: string;
}

/** What a transport tells the client. */
export interface TransportHandlers {
  /** A JSON text has arrived and was parsed: a message or a batch. */
  onMessage(message: unknown): void;
  /** The connection is over. Called once, and nothing after it. */
  onClose(exit: ExitInfo): void;
  /** Something arrived that is no message. The connection lives on. */
  onFault(error: PillionError): void;
  /** The process wrote this line to its log (stderr). */
  onLog(line: string): void;
}

/** A connection to Pillion that is open. */
export interface Transport {
  /** The id of the process at the other end, where it is known. */
  readonly processId: number | undefined;
  /** Whether the process is there for this connection alone, so that closing one stops the other. */
  readonly ownsProcess: boolean;
  /** Sends JSON texts, in order; each is a message or a batch, without a line end. Never throws. */
  send(messages: readonly string[]): void;
  /** Says that nothing more will be sent. What is under way may still be answered. */
  end(): void;
  /** Ends the connection, and the process if it is owned, without waiting for anything. */
  kill(): void;
}

/**
 * Opens a connection; called again for each respawn. Rejects with a {@link PillionError} when the
 * process cannot be started, and then calls no handler.
 */
export type Connector = (handlers: TransportHandlers) => Promise<Transport>;

/** Parses one JSON text and hands it on, as a message or as a fault. */
export function deliverText(text: string, handlers: TransportHandlers): void {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (cause) {
    const start = text.length > 80 ? `${text.slice(0, 80)}...` : text;
    handlers.onFault(new PillionError("parse_error", `Pillion's output holds a line that is not JSON: ${start}`, { cause }));
    return;
  }
  handlers.onMessage(message);
}
