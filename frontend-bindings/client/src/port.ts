import { Pillion } from "./client.js";
import type { PillionOptions } from "./options.js";
import { closePort, listen, type PortLike } from "./port_like.js";
import { deliverText, type Connector, type Transport, type TransportHandlers } from "./transport.js";

export { servePort, type ServedPort, type ServePortOptions } from "./serve_port.js";
export type { PortLike } from "./port_like.js";

/**
 * Connects to a Pillion that another context owns, over a message port whose other end was given
 * to `servePort` there. The port may be a `MessagePort` of a browser or of Node, Electron's
 * `MessagePortMain`, or a worker. A lost process is respawned by its owner, not from here; calls
 * under way reject as they do there, and subscriptions go on.
 */
export function connect(port: PortLike, options: Omit<PillionOptions, "respawn"> = {}): Promise<Pillion> {
  return Pillion.open(portConnector(port), { ...options, respawn: false });
}

/** The connector behind {@link connect}, for use with `Pillion.open`. */
export function portConnector(port: PortLike): Connector {
  return (handlers) => Promise.resolve(new PortTransport(port, handlers));
}

class PortTransport implements Transport {
  readonly ownsProcess = false;
  readonly processId = undefined;
  readonly #port: PortLike;
  readonly #handlers: TransportHandlers;
  readonly #stopListening: () => void;
  #closed = false;

  constructor(port: PortLike, handlers: TransportHandlers) {
    this.#port = port;
    this.#handlers = handlers;
    this.#stopListening = listen(port, {
      onText: (text) => deliverText(text, handlers),
      onClose: () => this.#close("the other end of the port was closed"),
    });
  }

  send(messages: readonly string[]): void {
    for (const message of messages) this.#port.postMessage(message);
  }

  /** Tells the other end, for not every kind of port has an event for it. */
  end(): void {
    if (this.#closed) return;
    this.#port.postMessage(null);
    this.#close("this end of the port was closed");
  }

  kill(): void {
    this.end();
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopListening();
    closePort(this.#port);
    // As with any other transport, the end is reported after the call that led to it.
    queueMicrotask(() => this.#handlers.onClose({ code: null, signal: null, reason }));
  }
}

export * from "./index.js";
