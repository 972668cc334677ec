import type { Interceptor } from "@connectrpc/connect";
import { abortable } from "./abortable.ts";

/**
 * Ends a call when its deadline passes or its caller leaves, whether the handler minds the signal or not; a call whose
 * deadline has passed already does not reach its handler. The framework alone only tells the handler.
 */
export const deadlineInterceptor: Interceptor = (next) => async (request) => {
  request.signal.throwIfAborted();
  const response = await abortable(next(request), request.signal);
  return response.stream ? { ...response, message: timed(response.message, request.signal) } : response;
};

async function* timed<T>(messages: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const result = await abortable(iterator.next(), signal);
      // A stream that the handler ended because of the deadline did not end well.
      signal.throwIfAborted();
      if (result.done === true) {
        ended = true;
        return;
      }
      yield result.value;
    }
  } finally {
    // Not awaited: a handler that ignores the signal would keep the call open. It runs its own cleanup when it wakes.
    if (!ended) iterator.return?.().catch(ignoreFailedCleanup);
  }
}

/** The call has its outcome already; what the abandoned handler throws on its way out has nobody to go to. */
function ignoreFailedCleanup(): void {}
