// The package as it is installed: through its exports, with its own declarations.
import assert from "node:assert/strict";
import test from "node:test";
import { Pillion, PillionError, type EventOf, type Methods } from "@pillion/client";
import * as node from "@pillion/client/node";
import * as port from "@pillion/client/port";
import * as tauri from "@pillion/client/tauri";

test("every entry point can be imported", () => {
  assert.equal(typeof Pillion.open, "function");
  assert.equal(typeof node.connect, "function");
  assert.equal(typeof tauri.connect, "function");
  assert.equal(typeof port.connect, "function");
  assert.equal(typeof port.servePort, "function");
  assert.equal(node.PillionError, PillionError);
});

/** Never called: it is here to be compiled. Each `@ts-expect-error` fails the build where there is no error. */
export async function typesHold(pillion: Pillion): Promise<void> {
  const pong: Methods["rpc.ping"]["result"] = await pillion.call("rpc.ping");
  const etag: string | undefined = (await pillion.call("rpc.ping", {}, { ifNoneMatch: "x" }))._meta?.etag;
  const own = await pillion.call<{ frames: number }>("python/render", { scene: 1 });
  const frames: number = own.frames;
  await pillion.subscribe(["metrics"], { intervalMs: 100 }, (event) => {
    const same: EventOf<"metrics"> = event;
    void same;
  });
  // @ts-expect-error a method that does not exist
  await pillion.call("rpc.pong");
  // @ts-expect-error params that are required
  await pillion.call("events.subscribe");
  // @ts-expect-error a topic that does not exist
  await pillion.subscribe(["nonsense"], {}, () => undefined);
  // @ts-expect-error a priority that does not exist
  await pillion.call("rpc.ping", {}, { priority: "urgent" });
  void [pong, etag, frames];
}
