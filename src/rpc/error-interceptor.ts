import type { Interceptor } from "@connectrpc/connect";
import { noteThrown } from "./call-context.ts";
import type { PresentError } from "./connect-error.ts";

/** Makes every error of the interceptors and handlers inside it presentable, also those of a stream half way. */
export function createErrorInterceptor(presentError: PresentError): Interceptor {
  return (next) => async (request) => {
    const presentable = (thrown: unknown) => {
      noteThrown(request.contextValues, thrown);
      return presentError(thrown, request.signal);
    };
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: guarded(response.message, presentable) } : response;
    } catch (thrown) {
      throw presentable(thrown);
    }
  };
}

async function* guarded<T>(messages: AsyncIterable<T>, presentable: (thrown: unknown) => Error): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (thrown) {
    throw presentable(thrown);
  }
}
