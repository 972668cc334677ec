import { Code } from "@connectrpc/connect";
import { GatewayError } from "../token/errors.ts";
import { abortable } from "./abortable.ts";
import type { CallPlace } from "./call-place.ts";
import { connectErrorFrom, transportError } from "./connect-error.ts";
import type { Exchange } from "./exchange.ts";

/** What has come of a request's body, and whether that is all of it. */
export interface GatheredBody {
  readonly pieces: readonly Uint8Array[];
  readonly isWhole: boolean;
}

/**
 * The body once it is whole, or once there are more than `maxBytes` of it. In place of handing it on as it comes, because a
 * call that waits for its body in the RPC framework's pipeline takes tens of kibibytes, and here a few objects.
 *
 * @param limitMs within which it must have come
 * @param place where its bytes are counted
 * @throws ConnectError DEADLINE_EXCEEDED, CANCELED; GatewayError OVERLOADED
 */
export function gatherBody(
  exchange: Pick<Exchange, "read">,
  limitMs: number,
  maxBytes: number,
  place: CallPlace | undefined,
): Promise<GatheredBody> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate()), limitMs);
    gather(exchange, maxBytes, place)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

async function gather(
  exchange: Pick<Exchange, "read">,
  maxBytes: number,
  place: CallPlace | undefined,
): Promise<GatheredBody> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes <= maxBytes) {
    const piece = await exchange.read().catch(rethrowGone);
    if (piece === undefined) return { pieces, isWhole: true };
    place?.hold(piece.length);
    pieces.push(piece);
    bytes += piece.length;
  }
  return { pieces, isWhole: false };
}

/** Nothing but what was gathered, or that and then the rest as it arrives. */
export async function* continued(
  { pieces, isWhole }: GatheredBody,
  rest: () => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* pieces;
  if (!isWhole) yield* rest();
}

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
    rethrowGone(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Reading fails only when the caller goes away. */
function rethrowGone(error: unknown): never {
  throw transportError(Code.Canceled, "CANCELED", "the call was canceled by its caller", error);
}

function tooLate(): Error {
  return transportError(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request did not arrive whole in time");
}
