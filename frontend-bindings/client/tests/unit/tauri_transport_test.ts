import assert from "node:assert/strict";
import test from "node:test";
import type { Chunk } from "../../src/line_decoder.js";
import { connect, type TauriChild, type TauriCommand, type TauriExit } from "../../src/tauri.js";
import { settlePromises } from "../support/fake_clock.js";
import { introduction } from "../support/fake_pillion.js";

type Listener = (payload: never) => void;

/** Stands in for `Command` of the shell plugin. */
class FakeCommand implements TauriCommand {
  readonly listeners = new Map<string, Listener>();
  readonly stdout = { on: (_: "data", listener: Listener) => void this.listeners.set("stdout", listener) };
  readonly stderr = { on: (_: "data", listener: Listener) => void this.listeners.set("stderr", listener) };
  readonly written: string[] = [];
  writeDone: (() => void)[] = [];
  holdWrites = false;
  writeFailure: string | undefined;
  killed = false;

  on(name: "close" | "error", listener: Listener): void {
    this.listeners.set(name, listener);
  }

  async spawn(): Promise<TauriChild> {
    return {
      pid: 77,
      kill: async () => void (this.killed = true),
      write: async (text) => {
        this.written.push(text);
        if (this.writeFailure !== undefined) throw this.writeFailure;
        if (this.holdWrites) await new Promise<void>((resolve) => this.writeDone.push(resolve));
        else if (text.includes('"initialize"')) this.#greet(JSON.parse(text) as { id: number });
      },
    };
  }

  #greet({ id }: { id: number }): void {
    this.stdoutChunk(`${JSON.stringify({ jsonrpc: "2.0", id, result: introduction(77) })}\n`);
  }

  stdoutChunk(chunk: Chunk): void {
    this.listeners.get("stdout")?.(chunk as never);
  }

  exit(exit: TauriExit): void {
    this.listeners.get("close")?.(exit as never);
  }
}

async function setUp() {
  const commands: FakeCommand[] = [];
  const pillion = await connect({
    command: () => {
      commands.push(new FakeCommand());
      return commands.at(-1)!;
    },
    respawn: { initialDelayMs: 1 },
  });
  return { pillion, commands, command: commands[0]! };
}

const echoed = (id: number): string => `{"jsonrpc":"2.0","id":${id},"result":{"text":"ü😀"}}`;

const deliveries: Record<string, readonly Chunk[]> = {
  "a line with LF": [`${echoed(2)}\n`],
  "a line with CR, and the LF apart": [`${echoed(2)}\r`, "\n"],
  "a line whose end was taken away": [echoed(2)],
  "a line in two parts": [echoed(2).slice(0, 20), `${echoed(2).slice(20)}\n`],
  "bytes": [new TextEncoder().encode(`${echoed(2)}\n`)],
  "bytes one by one": [...new TextEncoder().encode(echoed(2))].map((byte) => Uint8Array.of(byte)),
  "plain arrays of bytes": [[...new TextEncoder().encode(`${echoed(2)}\n`)]],
};

for (const [name, chunks] of Object.entries(deliveries)) {
  test(`the plugin may deliver ${name}`, async () => {
    const { pillion, command } = await setUp();
    const call = pillion.call("rpc.echo", { text: "ü😀" });
    await settlePromises();
    for (const chunk of chunks) command.stdoutChunk(chunk);
    assert.deepEqual(await call, { text: "ü😀" });
  });
}

test("a write waits for the one before, and takes along what came meanwhile", async () => {
  const { pillion, command } = await setUp();
  command.holdWrites = true;
  const texts = (): string[] => command.written.slice(1);
  for (const n of [1, 2, 3]) {
    void pillion.call("rpc.echo", { n }).catch(() => undefined);
    await settlePromises();
  }
  assert.equal(texts().length, 1);
  command.writeDone.shift()?.();
  await settlePromises();
  assert.deepEqual(texts().map((text) => text.split("\n").length - 1), [1, 2]);
});

test("a lost process is spawned again", async () => {
  const { pillion, commands, command } = await setUp();
  const call = pillion.call("rpc.ping");
  await settlePromises();
  command.exit({ code: null, signal: 9 });
  await assert.rejects(call, { kind: "unavailable", message: /signal 9/ });
  await new Promise((resolve) => pillion.on("respawn", resolve));
  assert.equal(commands.length, 2);
});

test("a write that fails counts as the loss of the process", async () => {
  const { pillion, commands, command } = await setUp();
  command.writeFailure = "no such child";
  await assert.rejects(pillion.call("rpc.ping"), { kind: "unavailable", message: /no such child/ });
  assert.equal(command.killed, true);
  await new Promise((resolve) => pillion.on("respawn", resolve));
  assert.equal(commands.length, 2);
});

test("close asks for shutdown, since the plugin cannot end the input", async () => {
  const { pillion, command } = await setUp();
  const closing = pillion.close();
  await settlePromises();
  assert.match(command.written.at(-1) ?? "", /"method":"shutdown"/);
  command.exit({ code: 0, signal: null });
  await closing;
  assert.equal(command.killed, false);
});

test("a command the app's capabilities do not allow rejects with a hint", async () => {
  const command = new FakeCommand();
  command.spawn = () => Promise.reject("program not allowed on the configured shell scope");
  await assert.rejects(connect({ command: () => command }), { kind: "unavailable", message: /not allowed/, hint: /shell:allow-spawn/ });
});
