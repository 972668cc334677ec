import { Code } from "@connectrpc/connect";
import { abortable } from "./abortable.ts";
import { transportError } from "./connect-error.ts";
import type { NodeRequest } from "./node-message.ts";

/**
 * The body as it arrives, whole by `limitMs` from now unless that is `undefined`. Whoever stops reading early leaves the
 * request as it is: destroying it, as streams do by default, would cut an HTTP/1.1 connection before it carries the answer.
 */
export async function* readBody(request: NodeRequest, limitMs: number | undefined): AsyncGenerator<Uint8Array> {
  const late = new AbortController();
  const timer = limitMs === undefined ? undefined : setTimeout(() => late.abort(tooLate()), limitMs);
  const chunks: AsyncIterator<Uint8Array> = request.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const result = await abortable(chunks.next(), late.signal);
      if (result.done === true) return;
      yield result.value;
    }
  } catch (error) {
    if (error === late.signal.reason) throw error;
    // Reading fails only when the caller goes away.
    throw transportError(Code.Canceled, "CANCELED", "the call was canceled by its caller", error);
  } finally {
    clearTimeout(timer);
    // Not awaited: when the time is up a read is still pending, and only the body's next bytes settle it.
    chunks.return?.().catch(ignoreLateFailure);
  }
}

function tooLate(): Error {
  return transportError(Code.DeadlineExceeded, "DEADLINE_EXCEEDED", "the request did not arrive whole in time");
}

/** Nobody reads the body any more. */
function ignoreLateFailure(): void {}
