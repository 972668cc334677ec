import { Code } from "@connectrpc/connect";
import { GatewayError } from "../token/errors.ts";
import { abortable } from "./abortable.ts";
import type { CallPlace } from "./call-place.ts";
import { connectErrorFrom, transportError } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";

/**
 * The body as it arrives, whole by `limitMs` from now unless that is `undefined`.
 *
 * @param place where its bytes are counted, if the call keeps them all until it is whole
 */
export async function* readBody(
  exchange: Exchange,
  limitMs: number | undefined,
  place: CallPlace | undefined,
): AsyncGenerator<Uint8Array> {
  const late = new AbortController();
  const timer = limitMs === undefined ? undefined : setTimeout(() => late.abort(tooLate()), limitMs);
  try {
    for (;;) {
      const piece = await abortable(exchange.read(), late.signal);
      if (piece === undefined) return;
      place?.hold(piece.length);
      yield piece;
    }
  } catch (error) {
    if (error === late.signal.reason) throw error;
    // The framework lets errors of its own kind through alone.
    if (error instanceof GatewayError) throw connectErrorFrom(error);
    // Reading fails only when the caller goes away.
    throw transportError(Code.Canceled, "CANCELED", "the call was canceled by its caller", error);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(): Error {
  return transportError(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request did not arrive whole in time");
}
