import type { Interceptor } from "@connectrpc/connect";
import { canceled } from "../token/errors.ts";
import type { AuditDraft } from "./audit.ts";
import { auditOf } from "./call-context.ts";
import type { PresentError } from "./connect-error.ts";

/**
 * Notes what an audited call is about and how it ends, as near to its handler as can be: a caller that leaves does not end
 * a revocation, and what that came to is told when it is known.
 */
export function createAuditInterceptor(presentError: PresentError): Interceptor {
  return (next) => async (request) => {
    const draft = auditOf(request.contextValues);
    if (draft === undefined) return await next(request);
    const { signal } = request;
    const fail = (thrown: unknown) => {
      void settled(draft, thrown).then((error) => {
        draft.end(error === undefined ? undefined : presentError(error.thrown, signal), signal.aborted);
      });
    };
    // Of a stream that nobody begins to read this one hears nothing: then who serves the call tells how it ends.
    draft.isHandled = !request.stream;
    try {
      if (!request.stream) noteRequest(draft, request.message);
      const response = await next(
        request.stream
          ? { ...request, message: noting(request.message, (message) => noteRequest(draft, message)) }
          : request,
      );
      if (response.stream) return { ...response, message: audited(response.message, draft, fail) };
      noteToken(draft, response.message);
      draft.end(undefined, signal.aborted);
      return response;
    } catch (thrown) {
      fail(thrown);
      throw thrown;
    }
  };
}

/** How it ended in truth: `undefined` for well. */
async function settled(draft: AuditDraft, thrown: unknown): Promise<{ thrown: unknown } | undefined> {
  if (draft.work === undefined) return { thrown };
  return await draft.work.then(
    (answer) => noteToken(draft, answer),
    (later: unknown) => ({ thrown: later }),
  );
}

async function* noting<T>(messages: AsyncIterable<T>, note: (message: T) => void): AsyncGenerator<T> {
  for await (const message of messages) {
    note(message);
    yield message;
  }
}

async function* audited<T>(
  messages: AsyncIterable<T>,
  draft: AuditDraft,
  fail: (thrown: unknown) => void,
): AsyncGenerator<T> {
  draft.isHandled = true;
  try {
    yield* messages;
    draft.end(undefined);
  } catch (thrown) {
    fail(thrown);
    throw thrown;
  } finally {
    // Nobody has read it to its end; of what has been told nothing more is.
    fail(canceled());
  }
}

/** A token's secret stands in `target` too: only what is said to be an id is taken for one. */
function noteRequest(draft: AuditDraft, message: unknown): void {
  const target = memberOf(message, "target");
  if (memberOf(target, "case") === "tokenId") draft.tokenId = textOf(target, "value");
  draft.subject = textOf(message, "subject");
  draft.keyId = textOf(message, "keyId");
}

function noteToken(draft: AuditDraft, message: unknown): undefined {
  const token = memberOf(message, "token");
  draft.tokenId = textOf(token, "id") ?? draft.tokenId;
  draft.subject = textOf(token, "subject") ?? draft.subject;
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function textOf(value: unknown, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === "string" && member !== "" ? member : undefined;
}
