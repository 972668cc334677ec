import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Revocation,
  RevocationKind,
  RevocationSchema,
  RevocationSource,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import {
  JwtCheck,
  type M2MToken,
  M2MTokenSchema,
  Propagation,
  Source,
  TokenFormat,
  Verdict,
  Wait,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor } from "../token/cursor.ts";
import type * as jwt from "../token/jwt.ts";
import type { LogEntry, RevocationFact } from "../token/ports.ts";
import type * as publisher from "../token/publisher.ts";
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

const CHECKS: Record<jwt.JwtCheck, JwtCheck> = {
  form: JwtCheck.FORM,
  header: JwtCheck.HEADER,
  algorithm: JwtCheck.ALGORITHM,
  type: JwtCheck.TYPE,
  category: JwtCheck.CATEGORY,
  claims: JwtCheck.CLAIMS,
  subject: JwtCheck.SUBJECT,
  token_id: JwtCheck.TOKEN_ID,
  lifetime: JwtCheck.LIFETIME,
  issuer: JwtCheck.ISSUER,
  key: JwtCheck.KEY,
  signature: JwtCheck.SIGNATURE,
  expiration: JwtCheck.EXPIRATION,
  not_before: JwtCheck.NOT_BEFORE,
  issued_at: JwtCheck.ISSUED_AT,
  grant: JwtCheck.GRANT,
};

export function wireCheck(check: jwt.JwtCheck): JwtCheck {
  return CHECKS[check];
}

export function wirePropagation(propagation: publisher.Propagation): Propagation {
  return propagation === "fleet" ? Propagation.FLEET : Propagation.REPLICA;
}

export function propagationFrom(wait: Wait): publisher.Propagation {
  return wait === Wait.FLEET ? "fleet" : "replica";
}

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
    ...aboutOf(fact),
    reason: fact.reason ?? "",
    revokeTime: wireTime(fact.revokedAtMs),
    rememberUntilTime: wireTime(fact.rememberUntilMs),
    source: REVOCATION_SOURCES[fact.source],
    origin: fact.origin,
    cursor: formatCursor(cursor),
  });
}

function aboutOf(fact: RevocationFact) {
  if ("keyId" in fact) return { kind: RevocationKind.KEY, keyId: fact.keyId };
  const subject = fact.subject ?? "";
  if ("tokenId" in fact) return { kind: RevocationKind.TOKEN, tokenId: fact.tokenId, subject };
  return { kind: RevocationKind.SUBJECT, subject, issuedBefore: wireTime(fact.issuedBeforeMs) };
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
