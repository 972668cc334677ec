import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { type M2MToken, TokenFormat, Verdict } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { enumName } from "./enum-name.ts";
import type { Cell } from "./text-layout.ts";
import { timeFromNow, timeText } from "./text-layout.ts";

/** What there is to say about a token, for `fields`. */
export function tokenFields(token: M2MToken, nowMs: number): (readonly [string, Cell | string | undefined])[] {
  return [
    ["id", token.id],
    ["subject", token.subject],
    ["format", formatName(token.format)],
    ["scopes", token.scopes.join(" ")],
    ["claims", token.claims === undefined ? undefined : JSON.stringify(toJson(ValueSchema, token.claims))],
    ["state", tokenState(token)],
    ["reason", token.revocationReason],
    ["created", timeText(token.createTime)],
    ["expires", token.expireTime === undefined ? "never" : timeFromNow(token.expireTime, nowMs)],
    ["last used", timeText(token.lastUsedTime)],
  ];
}

export function tokenState(token: M2MToken): Cell {
  if (token.revoked) {
    return { text: "revoked", format: "red" };
  }
  return token.expired ? { text: "expired", format: "yellow" } : { text: "live", format: "green" };
}

export function formatName(format: TokenFormat): string {
  return enumName(TokenFormat, format).toLowerCase();
}

export function verdictCell(verdict: Verdict): Cell {
  return { text: enumName(Verdict, verdict), format: verdict === Verdict.VALID ? ["bold", "green"] : ["bold", "red"] };
}
