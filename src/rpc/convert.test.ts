import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { RevocationSchema } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { M2MTokenSchema, TokenFormat } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { LogEntry } from "../token/ports.ts";
import type { MachineId, Token, TokenId } from "../token/token.ts";
import {
  msFromDuration,
  tokenFormatFrom,
  wireDuration,
  wireRevocation,
  wireSource,
  wireTime,
  wireToken,
  wireVerdict,
} from "./convert.ts";

const TOKEN: Token = {
  id: "mt_1" as TokenId,
  subject: "mch_1" as MachineId,
  format: "opaque",
  claims: undefined,
  scopes: [],
  revoked: false,
  revocationReason: undefined,
  expired: false,
  expiresAtMs: undefined,
  lastUsedAtMs: undefined,
  createdAtMs: 1_000,
  updatedAtMs: 2_001,
};

describe("wireToken", () => {
  it("leaves out what is not known", () => {
    expect(toJson(M2MTokenSchema, wireToken(TOKEN))).toEqual({
      id: "mt_1",
      subject: "mch_1",
      format: "TOKEN_FORMAT_OPAQUE",
      createTime: "1970-01-01T00:00:01Z",
      updateTime: "1970-01-01T00:00:02.001Z",
    });
  });

  it("says all that is known", () => {
    const token: Token = {
      ...TOKEN,
      format: "jwt",
      claims: null,
      scopes: ["mch_2" as MachineId],
      revoked: true,
      revocationReason: "leaked",
      expired: true,
      expiresAtMs: 3_000,
      lastUsedAtMs: 4_000,
    };
    expect(toJson(M2MTokenSchema, wireToken(token))).toMatchObject({
      format: "TOKEN_FORMAT_JWT",
      claims: null,
      scopes: ["mch_2"],
      revoked: true,
      revocationReason: "leaked",
      expired: true,
      expireTime: "1970-01-01T00:00:03Z",
      lastUsedTime: "1970-01-01T00:00:04Z",
    });
  });
});

describe("wireRevocation", () => {
  const entry: LogEntry = {
    cursor: { epoch: "e", major: 7, minor: 1 },
    fact: {
      tokenId: "mt_1" as TokenId,
      subject: undefined,
      reason: undefined,
      revokedAtMs: 1_000,
      rememberUntilMs: 9_000,
      source: "observed",
      origin: "gw-1",
    },
  };

  it("says the fact and its place in the log", () => {
    expect(toJson(RevocationSchema, wireRevocation(entry))).toEqual({
      kind: "REVOCATION_KIND_TOKEN",
      tokenId: "mt_1",
      revokeTime: "1970-01-01T00:00:01Z",
      rememberUntilTime: "1970-01-01T00:00:09Z",
      source: "REVOCATION_SOURCE_OBSERVED",
      origin: "gw-1",
      cursor: "e.7-1",
    });
  });
});

describe("enums", () => {
  it("have a distinct value on the wire, none of them unspecified", () => {
    const verdicts = (["valid", "revoked", "expired", "not_granted", "invalid"] as const).map(wireVerdict);
    const sources = (["memory", "upstream", "local", "fact"] as const).map(wireSource);
    expect(verdicts).toEqual([1, 2, 3, 4, 5]);
    expect(sources).toEqual([1, 2, 3, 4]);
  });

  it("take an unspecified format for opaque", () => {
    expect(tokenFormatFrom(TokenFormat.UNSPECIFIED)).toBe("opaque");
    expect(tokenFormatFrom(TokenFormat.OPAQUE)).toBe("opaque");
    expect(tokenFormatFrom(TokenFormat.JWT)).toBe("jwt");
  });
});

describe("times", () => {
  it.each([-1e20, -1, 0, 0.7, 1_716_883_200_123, 1e20])("%d ms can be encoded in binary and in JSON", (wallMs) => {
    const time = wireTime(wallMs);
    expect(() => [toBinary(TimestampSchema, time), toJson(TimestampSchema, time)]).not.toThrow();
  });

  it.each([0, 0.3, 1500, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])(
    "a duration of %d ms can be encoded in binary and in JSON",
    (durationMs) => {
      const duration = wireDuration(durationMs);
      expect(() => [toBinary(DurationSchema, duration), toJson(DurationSchema, duration)]).not.toThrow();
    },
  );

  it("read durations without rounding", () => {
    expect(msFromDuration(create(DurationSchema, { seconds: 2n, nanos: 1 }))).toBe(2000.000001);
    expect(msFromDuration(create(DurationSchema, { nanos: 1 }))).toBeGreaterThan(0);
  });
});
