import { type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import { plainJson } from "./plain-text.ts";

/**
 * The protobuf JSON of a message on one line, fields with default values included, so that scripts find the same names
 * in every answer.
 */
export function messageJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return plainJson(toJsonString(schema, message, { alwaysEmitImplicit: true }));
}
