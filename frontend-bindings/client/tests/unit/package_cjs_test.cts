// The package as `require` finds it, with the declarations that belong to it.
import assert = require("node:assert/strict");
import test = require("node:test");
import client = require("@pillion/client");
import node = require("@pillion/client/node");
import port = require("@pillion/client/port");
import tauri = require("@pillion/client/tauri");

test("every entry point can be required", () => {
  assert.equal(typeof client.Pillion.open, "function");
  assert.equal(typeof node.connect, "function");
  assert.equal(typeof tauri.connect, "function");
  assert.equal(typeof port.servePort, "function");
});

test("errors are known across the two forms of the package", async () => {
  const esm = await import("@pillion/client");
  const error = new client.PillionError("timeout", "late");
  assert.equal(error instanceof esm.PillionError, false);
  assert.equal(esm.PillionError.is(error), true);
});
