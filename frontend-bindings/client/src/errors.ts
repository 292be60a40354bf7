/** What went wrong, as Pillion names it in `error.data.kind`. */
export type PillionErrorKind =
  | "parse_error"
  | "invalid_request"
  | "method_not_found"
  | "invalid_params"
  | "internal_error"
  | "cancelled"
  | "timeout"
  | "not_found"
  | "conflict"
  | "exhausted"
  | "unavailable"
  | "denied"
  | "failed_precondition"
  | "corrupt";

/** The JSON-RPC code of each kind. */
export const errorCodes: Readonly<Record<PillionErrorKind, number>> = {
  parse_error: -32700,
  invalid_request: -32600,
  method_not_found: -32601,
  invalid_params: -32602,
  internal_error: -32603,
  cancelled: -32800,
  timeout: -32001,
  not_found: -32002,
  conflict: -32003,
  exhausted: -32004,
  unavailable: -32005,
  denied: -32006,
  failed_precondition: -32007,
  corrupt: -32008,
};

const kindsByCode = new Map(
  Object.entries(errorCodes).map(([kind, code]) => [code, kind as PillionErrorKind]),
);

/** The `error` member of a JSON-RPC response. */
export interface WireError {
  code: number;
  message: string;
  data?: unknown;
}

/** What a {@link PillionError} says beside its message. */
export interface PillionErrorDetails {
  /** The JSON-RPC code; by default that of the kind. */
  code?: number | undefined;
  /** Whether the same call may succeed if it is made again; false by default. */
  retryable?: boolean | undefined;
  /** JSON pointer to the parameter at fault, such as `/limit`. */
  field?: string | undefined;
  /** What to do about it. */
  hint?: string | undefined;
  /** `error.data` as it came over the wire. */
  data?: unknown;
  /** What led to this error, such as the reason of an `AbortSignal`. */
  cause?: unknown;
}

const brand = Symbol.for("@pillion/client/PillionError");

/**
 * The one error class of this package: every promise it hands out rejects with it, whether the
 * error was answered by Pillion or found on this side (a lost process, an abort, a deadline).
 */
export class PillionError extends Error {
  override readonly name = "PillionError";
  /** What went wrong: the member to branch on. */
  readonly kind: PillionErrorKind;
  /** The JSON-RPC code. */
  readonly code: number;
  /** Whether the same call may succeed if it is made again. */
  readonly retryable: boolean;
  /** JSON pointer to the parameter at fault, such as `/limit`. */
  readonly field: string | undefined;
  /** What to do about it. */
  readonly hint: string | undefined;
  /** `error.data` as it came over the wire; undefined for errors found on this side. */
  readonly data: unknown;

  constructor(kind: PillionErrorKind, message: string, details: PillionErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.code = details.code ?? errorCodes[kind];
    this.retryable = details.retryable ?? false;
    this.field = details.field;
    this.hint = details.hint;
    this.data = details.data;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Reads the `error` member of a response. What `data` leaves out follows from the code. */
  static fromWire(error: WireError): PillionError {
    const data = (typeof error.data === "object" && error.data !== null ? error.data : {}) as Record<string, unknown>;
    const named = typeof data["kind"] === "string" && Object.hasOwn(errorCodes, data["kind"]) ? data["kind"] : undefined;
    const kind = (named as PillionErrorKind | undefined) ?? kindsByCode.get(error.code) ?? "internal_error";
    return new PillionError(kind, error.message, {
      code: error.code,
      retryable: data["retryable"] === true,
      field: typeof data["field"] === "string" ? data["field"] : undefined,
      hint: typeof data["hint"] === "string" ? data["hint"] : undefined,
      data: error.data,
    });
  }

  /** The `error` member that tells the other side of a connection about this error. */
  toWire(): WireError {
    const data = this.data ?? {
      kind: this.kind,
      retryable: this.retryable,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
    return { code: this.code, message: this.message, data };
  }

  /** Whether `value` is a PillionError, also one of another copy of this package (ESM beside CJS). */
  static is(value: unknown): value is PillionError {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[brand] === true;
  }
}
