import { Code } from "@connectrpc/connect";
import { abortable } from "./abortable.ts";
import { transportError } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";

/** The body as it arrives, whole by `limitMs` from now unless that is `undefined`. */
export async function* readBody(exchange: Exchange, limitMs: number | undefined): AsyncGenerator<Uint8Array> {
  const late = new AbortController();
  const timer = limitMs === undefined ? undefined : setTimeout(() => late.abort(tooLate()), limitMs);
  try {
    for (;;) {
      const piece = await abortable(exchange.read(), late.signal);
      if (piece === undefined) return;
      yield piece;
    }
  } catch (error) {
    if (error === late.signal.reason) throw error;
    // Reading fails only when the caller goes away.
    throw transportError(Code.Canceled, "CANCELED", "the call was canceled by its caller", error);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(): Error {
  return transportError(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request did not arrive whole in time");
}
