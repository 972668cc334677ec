import type { MachineId, TokenId } from "../token/token.ts";
import type { InvalidationTarget } from "../token/verdict-cache.ts";
import { fieldsOf, idOf, MessageError, textOf } from "./log-messages.ts";

/**
 * The same in both directions. `invalidate`, of a worker: have the others forget; of the primary: forget. `invalidated`
 * answers it, once that is done.
 */
export type InvalidationMessage =
  | { readonly kind: "invalidate"; readonly id: number; readonly target: InvalidationTarget }
  | { readonly kind: "invalidated"; readonly id: number };

/** `undefined` when the message is about something else. @throws MessageError */
export function parseInvalidation(message: unknown): InvalidationMessage | undefined {
  const fields = fieldsOf(message);
  switch (fields.kind) {
    case "invalidate":
      return { kind: "invalidate", id: idOf(fields), target: targetOf(fields.target) };
    case "invalidated":
      return { kind: "invalidated", id: idOf(fields) };
    default:
      return undefined;
  }
}

function targetOf(value: unknown): InvalidationTarget {
  const fields = fieldsOf(value);
  if (fields.all === true) return { all: true };
  if ("tokenId" in fields) return { tokenId: textOf(fields, "tokenId") as TokenId };
  if ("subject" in fields) return { subject: textOf(fields, "subject") as MachineId };
  throw new MessageError("target is none that is known");
}
