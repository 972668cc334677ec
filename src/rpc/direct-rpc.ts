import type { ConnectError } from "@connectrpc/connect";
import type { CallContext } from "./call-context.ts";
import type { CallPlace } from "./call-place.ts";
import type { Exchange } from "./exchange.ts";

/** A call that has been let in, and whose request is here. */
export interface DirectCall {
  readonly exchange: Exchange;
  /** The whole of it. */
  readonly body: Buffer;
  readonly context: CallContext;
  /** Aborted when its caller leaves. */
  readonly left: AbortController;
  /** For how long it may still take, in milliseconds; `undefined` for as long as it likes. */
  readonly timeLeftMs: number | undefined;
  /** Where the bytes of its answer are counted. */
  readonly place: CallPlace | undefined;
}

/**
 * An RPC that is served without the RPC framework where a call of it is nothing out of the ordinary: that costs a fraction of the
 * processor's time and of the memory (docs/performance.md).
 */
export interface DirectRpc {
  /** `/package.Service/Method` */
  readonly path: string;
  /**
   * Answers what the framework's handler would, and resolves with what it told the caller in place of an answer, if anything.
   *
   * @returns `undefined` for a call that is left to the framework: nothing has happened then
   */
  answer(call: DirectCall): Promise<ConnectError | undefined> | undefined;
}
