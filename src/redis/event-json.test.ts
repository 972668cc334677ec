import { describe, expect, it } from "vitest";
import type { KeyFact, SubjectFact, TokenFact } from "../token/ports.ts";
import type { MachineId, TokenId } from "../token/token.ts";
import { formatFactJson, parseEventJson, parseFactJson } from "./event-json.ts";

const FACT: TokenFact = {
  tokenId: "mt_00000000000000000000000000000001" as TokenId,
  subject: "mch_billing00000000000000000000" as MachineId,
  reason: 'leaked, "quoted" and\nbroken 🔑',
  revokedAtMs: 1_700_000_000_123,
  rememberUntilMs: 1_700_003_600_123,
  source: "reconciled",
  origin: "replica-1",
};

const { tokenId: _id, subject: _subject, ...BASE } = FACT;
const SUBJECT_FACT: SubjectFact = {
  ...BASE,
  subject: "mch_billing00000000000000000000" as MachineId,
  issuedBeforeMs: 1_700_000_001_000,
};
const KEY_FACT: KeyFact = { ...BASE, keyId: "ins_2GIoQhbUpy0hX7B2cVkuTMinXoD" };

describe("the JSON of an event", () => {
  it("is what is documented", () => {
    expect(JSON.parse(formatFactJson(FACT))).toEqual({
      v: 1,
      token_id: FACT.tokenId,
      subject: FACT.subject,
      reason: FACT.reason,
      revoke_time: "2023-11-14T22:13:20.123Z",
      remember_until_time: "2023-11-14T23:13:20.123Z",
      source: "reconciled",
      origin: "replica-1",
    });
  });

  it("says of a machine and of a key what is documented, in a version that older readers skip", () => {
    expect(JSON.parse(formatFactJson(SUBJECT_FACT))).toMatchObject({
      v: 2,
      kind: "subject",
      subject: SUBJECT_FACT.subject,
      issued_before_time: "2023-11-14T22:13:21.000Z",
    });
    expect(JSON.parse(formatFactJson(KEY_FACT))).toMatchObject({ v: 2, kind: "key", key_id: KEY_FACT.keyId });
  });

  it.each([
    FACT,
    { ...FACT, subject: undefined, reason: undefined },
    SUBJECT_FACT,
    KEY_FACT,
    { ...KEY_FACT, reason: undefined },
  ])("is read as it was written", (fact) => {
    expect(parseFactJson(formatFactJson(fact))).toEqual(fact);
  });

  it("carries the cursor on the channel, and ignores what a later version adds", () => {
    const text = `{"cursor":"abc1.17-2","more":[],${formatFactJson(FACT).slice(1)}`;
    expect(parseEventJson(text)).toEqual({ cursor: { epoch: "abc1", major: 17, minor: 2 }, fact: FACT });
  });

  it.each([
    ["not JSON", "{s3cret"],
    ["no object", "[1]"],
    ["null", "null"],
    ["a later version", edited({ v: 3 })],
    ["of no kind", edited({ v: 2 })],
    ["of an unknown kind", edited({ v: 2, kind: "s3cret" })],
    ["about a machine since no time", edited({ v: 2, kind: "subject" })],
    [
      "about no machine",
      edited({ v: 2, kind: "subject", subject: undefined, issued_before_time: "2023-11-14T22:13:21.000Z" }),
    ],
    ["about a key without a name", edited({ v: 2, kind: "key" })],
    ["about a key that is none", edited({ v: 2, kind: "key", key_id: "s3cret s3cret" })],
    ["no token", edited({ token_id: undefined })],
    ["a token that is none", edited({ token_id: "s3cret s3cret" })],
    ["a subject that is no text", edited({ subject: 5 })],
    ["a reason that is no text", edited({ reason: null })],
    ["a time without a zone", edited({ revoke_time: "2023-11-14T22:13:20.123" })],
    ["a time that never was", edited({ remember_until_time: "2023-13-44T22:13:20.123Z" })],
    ["an unknown source", edited({ source: "s3cret" })],
    ["an inherited field", edited({ origin: undefined, __proto__: { origin: "x" } })],
  ])("is refused without being quoted when it is %s", (_, text) => {
    expect(() => parseFactJson(text)).toThrow();
    expect(() => parseFactJson(text)).not.toThrow(/s3cret/);
  });

  it("is refused on the channel without a cursor", () => {
    expect(() => parseEventJson(formatFactJson(FACT))).toThrow("cursor is not a string");
    expect(() => parseEventJson(edited({ cursor: "17-2" }))).toThrow("cursor is not one");
  });

  it("is never written so that it could not be read", () => {
    expect(() => formatFactJson({ ...FACT, revokedAtMs: Number.NaN })).toThrow("revoke_time is not a time");
    expect(() => formatFactJson({ ...FACT, tokenId: "a b" as TokenId })).toThrow("token_id is not an identifier");
  });
});

function edited(changes: object): string {
  return JSON.stringify({ ...(JSON.parse(formatFactJson(FACT)) as object), ...changes });
}
