// A program that speaks just enough of the protocol to test the transport for Node against it.
import { createInterface } from "node:readline";

interface Request {
  id?: number;
  method: string;
  params?: Record<string, unknown>;
}

function answer(request: Request): object | undefined {
  switch (request.method) {
    case "initialize":
      return { name: "peer", version: "0", pid: process.pid, limits: { messageBytesMax: 1_000_000, batchMax: 100 } };
    case "rpc.echo":
      return request.params ?? {};
    case "peer.exit":
      process.stderr.write("the peer was told to exit\n");
      process.exit(3);
    case "peer.die":
      process.kill(process.pid, "SIGKILL");
      return undefined;
    case "peer.noise":
      process.stdout.write("this is no JSON\r\n\r\n");
      return {};
    case "peer.hang":
      lines.close();
      process.stdin.destroy();
      setInterval(() => undefined, 60_000);
      return {};
    default:
      return undefined;
  }
}

function respond(request: Request): object | undefined {
  const result = answer(request);
  return request.id === undefined || result === undefined ? undefined : { jsonrpc: "2.0", id: request.id, result };
}

let written = Promise.resolve();

/** Writes in two parts, cut within a character where there is a long one; one message after the other. */
function write(bytes: Buffer): void {
  const cut = Math.max(bytes.indexOf(0xf0) + 2, 2);
  written = written.then(async () => {
    process.stdout.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    process.stdout.write(bytes.subarray(cut));
  });
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const message = JSON.parse(line) as Request | Request[];
  const response = Array.isArray(message) ? message.map(respond) : respond(message);
  if (response === undefined) return;
  write(Buffer.from(`${JSON.stringify(response)}\n`));
});
lines.on("close", () => process.stderr.write("the peer says goodbye\n"));
