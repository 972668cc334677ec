import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type BatchVerifyTokensRequest,
  type M2MToken,
  type TokenService,
  type VerifyPolicy,
  type VerifyTokenRequest,
  type VerifyTokenResponse,
  VerifyTokenResponseSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { formatCursor, parseCursor } from "../token/cursor.ts";
import type { Policy } from "../token/policy.ts";
import type { MachineId } from "../token/token.ts";
import type { Verification, VerifyRequest } from "../token/verification.ts";
import { callerOf, servicesOf } from "./call-context.ts";
import { msFromDuration, wireCheck, wireSource, wireTime, wireToken, wireVerdict } from "./convert.ts";
import { jsonFromStruct } from "./json-value.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

export function createVerifyToken(
  dependencies: Pick<RpcDependencies, "verifier" | "isDegraded" | "revocations">,
): ServiceImpl<typeof TokenService>["verifyToken"] {
  return (request, { signal, values }) => {
    const { verifier } = servicesOf(values, dependencies);
    const subjects = callerOf(values)?.subjects;
    const verification = verifier.verify({ presented: request.token, ...demandsFrom(request), subjects, signal });
    return verification instanceof Promise
      ? verification.then((late) => wireVerification(late, dependencies))
      : wireVerification(verification, dependencies);
  };
}

/** What a request asks of a verdict, apart from the token. The same in a batch. */
export function demandsFrom(
  request: VerifyTokenRequest | BatchVerifyTokensRequest,
): Pick<VerifyRequest, "maxAgeMs" | "minCursor" | "policy"> {
  return {
    maxAgeMs: request.maxAge === undefined ? Number.POSITIVE_INFINITY : msFromDuration(request.maxAge),
    minCursor: request.minCursor === "" ? undefined : parseCursor(request.minCursor),
    policy: request.policy === undefined ? undefined : policyFrom(request.policy),
  };
}

/** @param converted the token's wire form, where the caller has it already */
export function wireVerification(
  verification: Verification,
  { isDegraded, revocations }: Pick<RpcDependencies, "isDegraded" | "revocations">,
  converted?: M2MToken,
): VerifyTokenResponse {
  const response = wireDecision(verification, converted);
  response.cursor = formatCursor(revocations.applied);
  response.degraded = isDegraded();
  return response;
}

/** The part of an answer that does not change while the verdict stands: all but `cursor` and `degraded`. */
export function wireDecision(
  { verdict, token, source, observedAtMs, failedCheck }: Verification,
  converted?: M2MToken,
): VerifyTokenResponse {
  return create(VerifyTokenResponseSchema, {
    verdict: wireVerdict(verdict),
    source: wireSource(source),
    ...(token === undefined ? {} : { token: { ...(converted ?? wireToken(token)), ...knownSince(verdict) } }),
    ...(observedAtMs === undefined ? {} : { observedTime: wireTime(observedAtMs) }),
    ...(failedCheck === undefined ? {} : { failedCheck: wireCheck(failedCheck) }),
  });
}

/** The token is described as the upstream last did; what the gateway has learned since goes on top. */
function knownSince(verdict: Verification["verdict"]): { revoked?: true; expired?: true } {
  if (verdict === "revoked") return { revoked: true };
  return verdict === "expired" ? { expired: true } : {};
}

function policyFrom({ allowedSubjects, requiredClaims }: VerifyPolicy): Policy {
  const claims = requiredClaims === undefined ? {} : jsonFromStruct(requiredClaims, "policy.required_claims");
  return {
    allowedSubjects: new Set(allowedSubjects as MachineId[]),
    requiredClaims: new Map(Object.entries(claims)),
  };
}
