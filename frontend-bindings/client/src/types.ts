import type { Events, Methods, RequestMeta, topics } from "./generated/protocol.js";
import type { Progress } from "./pending_calls.js";

/** The name of a method of Pillion. */
export type MethodName = keyof Methods & string;

/** `NAME/METHOD` goes straight to the backend called NAME; its types are the backend's own. */
export type BackendMethodName = `${string}/${string}`;

/** The params of a method. */
export type ParamsOf<Method extends MethodName> = Methods[Method]["params"];

/** What `_meta` of a result holds where the call asked for caching, an etag or timing. */
export interface ResultMeta {
  /** The etag of the result: pass it as `ifNoneMatch` next time. */
  etag?: string;
  /** The result is what `ifNoneMatch` names; it was not sent again. */
  notModified?: boolean;
  /** The result came from the cache. */
  cached?: boolean;
  /** How old the cached result is, in ms. */
  ageMs?: number;
  /** The cached result is past its lifetime, and within `staleOkMs`. */
  stale?: boolean;
  /** How long Pillion took, in microseconds. */
  durationUs?: number;
}

/** The result of a method, with the `_meta` that any result may carry. */
export type ResultOf<Method extends MethodName> = Methods[Method]["result"] & { _meta?: ResultMeta };

/** What any call may add to its params. */
export interface CallOptions extends Omit<RequestMeta, "progressToken"> {
  /** Cancels the call when it is aborted: the promise rejects at once with kind `cancelled`. */
  signal?: AbortSignal | undefined;
  /** Gets the progress of the call; the call does not share a batch then. */
  onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Whether the call may share a batch, which is answered when its slowest member is done. By
   * default yes, except for calls with `onProgress` or `timeoutMs`, for backends, and for the
   * methods named in `unbatchedMethods`.
   */
  batch?: boolean | undefined;
}

/** Params and options of a call; params may be left out where none is required. */
export type CallArguments<Params> = {} extends Params
  ? [params?: Params | undefined, options?: CallOptions]
  : [params: Params, options?: CallOptions];

/** The name of an event, such as `metrics.sample`. */
export type EventName = keyof Events & string;

/** What can be subscribed to; each topic brings one or more events. */
export type Topic = (typeof topics)[EventName];

/** An event as a listener gets it. */
export interface PillionEvent<Name extends EventName = EventName> {
  /** The name of the event, such as `metrics.sample`. */
  name: Name;
  /** Counts the events of this subscription. It starts again after a respawn. */
  seq: number;
  /** How many events were left out because this side read too slowly. */
  dropped: number;
  /** When it happened, in milliseconds since the Unix epoch. */
  at: number;
  /** What the event says. */
  data: Events[Name];
}

/** The events of some topics; `name` tells them apart. */
export type EventOf<Topics extends Topic> = {
  [Name in EventName]: (typeof topics)[Name] extends Topics ? PillionEvent<Name> : never;
}[EventName];

/** How events are delivered, such as `intervalMs` for topics that are sampled. */
export type SubscribeOptions = Omit<ParamsOf<"events.subscribe">, "topics">;
