import type { M2MToken } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { Invocation } from "./invocation.ts";
import { plainText } from "./plain-text.ts";
import { fields } from "./text-layout.ts";
import { tokenFields } from "./token-text.ts";

/** The secret alone on standard output, all else on standard error. */
export async function printSecret(
  { printer }: Invocation<object>,
  what: "created" | "acquired",
  secret: string,
  token: M2MToken | undefined,
): Promise<void> {
  await printer.line(plainText(secret));
  if (token !== undefined) {
    printer.note(`${printer.paintErr("green", what)}\n${fields(tokenFields(token, Date.now()), printer.paintErr)}`);
  }
}
