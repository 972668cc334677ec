import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Revocation, RevocationSchema, RevocationSource } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { type M2MToken, M2MTokenSchema, Source, TokenFormat, Verdict } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import type { LogEntry, RevocationFact } from "../token/ports.ts";
import type * as domain from "../token/token.ts";
import { valueFromJson } from "./json-value.ts";

const VERDICTS: Record<domain.Verdict, Verdict> = {
  valid: Verdict.VALID,
  revoked: Verdict.REVOKED,
  expired: Verdict.EXPIRED,
  not_granted: Verdict.NOT_GRANTED,
  invalid: Verdict.INVALID,
};

const SOURCES: Record<domain.VerdictSource, Source> = {
  memory: Source.MEMORY,
  upstream: Source.UPSTREAM,
  local: Source.LOCAL,
  fact: Source.FACT,
  redis: Source.REDIS,
};

const FORMATS: Record<domain.TokenFormat, TokenFormat> = {
  opaque: TokenFormat.OPAQUE,
  jwt: TokenFormat.JWT,
};

const REVOCATION_SOURCES: Record<RevocationFact["source"], RevocationSource> = {
  api: RevocationSource.API,
  observed: RevocationSource.OBSERVED,
  reconciled: RevocationSource.RECONCILED,
};

export function wireVerdict(verdict: domain.Verdict): Verdict {
  return VERDICTS[verdict];
}

export function wireSource(source: domain.VerdictSource): Source {
  return SOURCES[source];
}

/** Not given means opaque. Values the .proto does not define do not get here: its rules refuse them. */
export function tokenFormatFrom(format: TokenFormat): domain.TokenFormat {
  return format === TokenFormat.JWT ? "jwt" : "opaque";
}

export function wireToken(token: domain.Token): M2MToken {
  return create(M2MTokenSchema, {
    id: token.id,
    subject: token.subject,
    format: FORMATS[token.format],
    ...(token.claims === undefined ? {} : { claims: valueFromJson(token.claims) }),
    scopes: [...token.scopes],
    revoked: token.revoked,
    revocationReason: token.revocationReason ?? "",
    expired: token.expired,
    ...(token.expiresAtMs === undefined ? {} : { expireTime: wireTime(token.expiresAtMs) }),
    ...(token.lastUsedAtMs === undefined ? {} : { lastUsedTime: wireTime(token.lastUsedAtMs) }),
    createTime: wireTime(token.createdAtMs),
    updateTime: wireTime(token.updatedAtMs),
  });
}

export function wireRevocation({ cursor, fact }: LogEntry): Revocation {
  return create(RevocationSchema, {
    tokenId: fact.tokenId,
    subject: fact.subject ?? "",
    reason: fact.reason ?? "",
    revokeTime: wireTime(fact.revokedAtMs),
    rememberUntilTime: wireTime(fact.rememberUntilMs),
    source: REVOCATION_SOURCES[fact.source],
    origin: fact.origin,
    cursor: formatCursor(cursor),
  });
}

/** The first and last instants a Timestamp can hold: years 1 and 9999. */
const MIN_TIME_MS = Date.parse("0001-01-01T00:00:00Z");
const MAX_TIME_MS = Date.parse("9999-12-31T23:59:59.999Z");

/** Whole milliseconds; instants beyond what a Timestamp can hold become the nearest it can. */
export function wireTime(wallMs: number): Timestamp {
  return timestampFromMs(Math.trunc(Math.min(Math.max(wallMs, MIN_TIME_MS), MAX_TIME_MS)));
}

/** The longest a Duration can hold: 10,000 years of 365.25 days. */
const MAX_DURATION_MS = 315_576_000_000_000;

/** Whole milliseconds, rounded up; what is longer than a Duration can hold, infinity too, becomes the longest it can. */
export function wireDuration(durationMs: number): Duration {
  return durationFromMs(Math.ceil(Math.min(durationMs, MAX_DURATION_MS)));
}

/** Milliseconds, with a fraction where the duration has one: rounding is for those who know which way is safe. */
export function msFromDuration(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
