import type { HeaderField } from "./header-field.ts";

/** A request's header section (RFC 9113, 8.3.1), checked. Never changes: identical header blocks share one. */
export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly scheme: string;
  /** Empty when the client sent none. */
  readonly authority: string;
  /** The ordinary fields in their order; names in lower case, values in latin1. */
  readonly fields: readonly HeaderField[];
}

/** The value of a field; values of repeated fields are joined by a comma, as RFC 9110, 5.2 has it. */
export function fieldOf(head: RequestHead, name: string): string | undefined {
  let joined: string | undefined;
  for (const field of head.fields) {
    if (field.name === name) joined = joined === undefined ? field.value : `${joined}, ${field.value}`;
  }
  return joined;
}
