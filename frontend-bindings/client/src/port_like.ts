/**
 * What is used of a message port. `MessagePort` (browser, Node), Electron's `MessagePortMain`,
 * `Worker` and the global scope of a dedicated worker all have it.
 */
export interface PortLike {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- hosts declare the parameters differently
  postMessage(message: any): void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  addEventListener?(name: string, listener: (event: any) => void): void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  removeEventListener?(name: string, listener: (event: any) => void): void;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  on?(name: string, listener: (event: any) => void): unknown;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  off?(name: string, listener: (event: any) => void): unknown;
  start?(): void;
  close?(): void;
}

/**
 * Listens to a port. Over it go JSON texts, and `null` when one end closes. Answers a function
 * that stops listening.
 */
export function listen(port: PortLike, handlers: { onText(text: string): void; onClose(): void }): () => void {
  const onMessage = (event: unknown): void => {
    const data = isObject(event) && "data" in event ? event["data"] : event;
    if (typeof data === "string") handlers.onText(data);
    else if (data === null) handlers.onClose();
  };
  const onClose = (): void => handlers.onClose();
  if (port.addEventListener !== undefined) {
    port.addEventListener("message", onMessage);
    port.addEventListener("close", onClose);
  } else {
    port.on?.("message", onMessage);
    port.on?.("close", onClose);
  }
  port.start?.();
  return () => {
    const stop = port.removeEventListener ?? port.off;
    stop?.call(port, "message", onMessage);
    stop?.call(port, "close", onClose);
  };
}

/** Closes a port. Only ports that are started can be closed: `close` of a worker's global scope ends the worker. */
export function closePort(port: PortLike): void {
  if (port.start !== undefined) port.close?.();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
