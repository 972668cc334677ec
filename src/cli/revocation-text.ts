import { type Revocation, RevocationKind, RevocationSource } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { enumName } from "./enum-name.ts";
import type { Paint } from "./paint.ts";
import { plainText } from "./plain-text.ts";
import { type Cell, line, timeText } from "./text-layout.ts";

export const REVOCATION_HEADER = ["REVOKED", "TOKEN", "SUBJECT", "SOURCE", "REASON"];

/** Widths that fit a well-formed revocation, for lines that are printed before the next one is known. */
const WIDTHS = [20, 35, 31, 8];

/** The reason comes last: it is the only cell that holds spaces. */
export function revocationCells(revocation: Revocation): Cell[] {
  return [
    { text: timeText(revocation.revokeTime) ?? "unknown", format: "dim" },
    { text: whatOf(revocation), format: "bold" },
    { text: revocation.subject || "-" },
    { text: enumName(RevocationSource, revocation.source) },
    { text: revocation.reason || "-" },
  ];
}

/** What stands in the column of tokens. */
function whatOf({ kind, tokenId, keyId, issuedBefore }: Revocation): string {
  if (kind === RevocationKind.SUBJECT) return `minted before ${timeText(issuedBefore) ?? "an unknown time"}`;
  return kind === RevocationKind.KEY ? `key ${keyId}` : tokenId;
}

export function revocationLine(revocation: Revocation, paint: Paint): string {
  const cells = revocationCells(revocation).map((cell) => ({ ...cell, text: plainText(cell.text) }));
  return line(cells, WIDTHS, paint);
}
