import type { CallOptions } from "./types.js";
import { PillionError } from "./errors.js";

/** The members of the options that stay on this side. */
const localOptions = new Set(["signal", "onProgress", "batch"]);

/**
 * Encodes a call. What the options ask of Pillion goes to `_meta`, beside what `params._meta` may
 * hold already. Throws a {@link PillionError} of kind `invalid_params` for values JSON cannot hold.
 */
export function encodeCall(id: number, method: string, params: object | undefined, options: CallOptions): string {
  const meta: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !localOptions.has(name)) meta[name] = value;
  }
  if (options.onProgress !== undefined) meta["progressToken"] = id;
  return encodeMessage({ jsonrpc: "2.0", id, method, params: mergeMeta(params, meta) });
}

/** Encodes a notification; errors as with {@link encodeCall}. */
export function encodeNotification(method: string, params: object | undefined): string {
  return encodeMessage({ jsonrpc: "2.0", method, params });
}

/** Encodes any message; errors as with {@link encodeCall}. */
export function encodeMessage(message: object): string {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    throw new PillionError("invalid_params", `the params cannot be written as JSON: ${String(cause)}`, { cause });
  }
}

function mergeMeta(params: object | undefined, meta: Record<string, unknown>): object | undefined {
  if (Object.keys(meta).length === 0) return params;
  if (Array.isArray(params)) {
    throw new PillionError("invalid_params", "params by position cannot carry options; pass them by name");
  }
  const given = (params as { _meta?: object } | undefined)?._meta;
  return { ...params, _meta: { ...given, ...meta } };
}
