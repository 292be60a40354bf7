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

/** Whether a text is longer than `bytesMax` in UTF-8; looks at its characters only where its length does not tell. */
export function isLongerThan(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return true;
  if (text.length * 3 <= bytesMax) return false;
  let bytes = text.length;
  for (let i = 0; i < text.length && bytes <= bytesMax; i += 1) {
    const unit = text.charCodeAt(i);
    // A surrogate is half of four bytes.
    if (unit >= 0x80) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2;
  }
  return bytes > bytesMax;
}

function mergeMeta(params: object | undefined, meta: Record<string, unknown>): object | undefined {
  if (Object.keys(meta).length === 0) return params;
  if (Array.isArray(params)) {
    throw new PillionError("invalid_params", "params by position cannot carry options; pass them by name");
  }
  const given = (params as { _meta?: object } | undefined)?._meta;
  return { ...params, _meta: { ...given, ...meta } };
}
