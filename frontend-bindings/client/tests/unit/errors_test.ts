import assert from "node:assert/strict";
import test from "node:test";
import { errorCodes, PillionError } from "../../src/errors.js";

test("an error carries what the wire says", () => {
  const data = { kind: "invalid_params", retryable: false, field: "/limit", hint: "use 1 to 100" };
  const error = PillionError.fromWire({ code: -32602, message: "limit is 1000", data });
  assert.ok(error instanceof Error && error instanceof PillionError);
  const { name, message, kind, code, retryable, field, hint } = error;
  assert.deepEqual(
    { name, message, kind, code, retryable, field, hint },
    { name: "PillionError", message: "limit is 1000", kind: "invalid_params", code: -32602, retryable: false, field: "/limit", hint: "use 1 to 100" },
  );
  assert.deepEqual(error.data, data);
});

test("without data, the kind follows from the code", () => {
  for (const [kind, code] of Object.entries(errorCodes)) {
    assert.equal(PillionError.fromWire({ code, message: "" }).kind, kind);
  }
});

test("an unknown code or kind is an internal error and keeps its code", () => {
  const error = PillionError.fromWire({ code: -1, message: "odd", data: { kind: "odd" } });
  assert.equal(error.kind, "internal_error");
  assert.equal(error.code, -1);
});

test("an error survives a second wire", () => {
  const first = new PillionError("exhausted", "full", { retryable: true, hint: "wait" });
  const second = PillionError.fromWire(JSON.parse(JSON.stringify(first.toWire())));
  assert.equal(second.kind, "exhausted");
  assert.equal(second.retryable, true);
  assert.equal(second.hint, "wait");
});

test("is() knows errors and nothing else", () => {
  assert.equal(PillionError.is(new PillionError("timeout", "")), true);
  for (const other of [new Error(""), null, undefined, "timeout", { kind: "timeout" }]) {
    assert.equal(PillionError.is(other), false);
  }
});
