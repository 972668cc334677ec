import type { Call, World } from "./call.ts";
import { apiError } from "./errors.ts";
import { objectBody, Problems, unknownKeys } from "./fields.ts";
import type { Answer } from "./http.ts";
import { newTokenId } from "./ids.ts";
import { canonicalJson, isDeeperThan, isJsonObject, type Json } from "./json.ts";
import { RESERVED_CLAIMS } from "./jwt.ts";
import { MAX_CLAIMS_LEVELS } from "./limits.ts";
import { isExpired, type MachineRecord, type TokenRecord } from "./state.ts";
import { jwtView, tokenView } from "./token-view.ts";

interface CreateRequest {
  readonly format: "opaque" | "jwt";
  readonly ttlSeconds: number | undefined;
  readonly claims: Json;
  readonly minRemainingSeconds: number | undefined;
}

/** POST /m2m_tokens: mints a token for the machine whose key was presented, or answers with a live one it may reuse. */
export async function createToken(call: Call, world: World): Promise<Answer> {
  if (call.principal.kind !== "machine") throw apiError("machine_secret_key_invalid");
  const { machine } = call.principal;
  const request = parseCreate(call.body);
  refuseReservedClaims(request, world);
  return request.format === "jwt" ? mintJwt(machine, request, world) : mintOpaque(machine, request, world);
}

function mintOpaque(machine: MachineRecord, request: CreateRequest, { state, clock, switches }: World): Answer {
  const nowMs = clock.nowMs();
  const { absent_expiry, reuse_status } = switches.current;
  const fallback = absent_expiry === "never" ? undefined : machine.defaultTokenTtlSeconds;
  const ttlSeconds = request.ttlSeconds ?? fallback;
  const { minRemainingSeconds, claims } = request;
  if (minRemainingSeconds !== undefined) {
    refuseUnreachable(minRemainingSeconds, ttlSeconds);
    const live = reusable(state.tokensOf(machine.id), machine, claims, nowMs, minRemainingSeconds * 1000);
    if (live !== undefined) return { status: reuse_status, body: { ...tokenView(live, nowMs), token: live.secret } };
  }
  const token = state.addToken({ subject: machine.id, claims, scopes: [...machine.scopes], ttlSeconds });
  return { status: 201, body: { ...tokenView(token, nowMs), token: token.secret } };
}

/** Of the tokens that will do, the one that lives longest. */
function reusable(
  tokens: readonly TokenRecord[],
  machine: MachineRecord,
  claims: Json,
  nowMs: number,
  minRemainingMs: number,
): TokenRecord | undefined {
  const wanted = canonicalJson(claims);
  const lifeOf = (token: TokenRecord) => token.expiresAtMs ?? Number.POSITIVE_INFINITY;
  return tokens
    .filter((token) => token.revokedAtMs === undefined && !isExpired(token, nowMs))
    .filter((token) => lifeOf(token) - nowMs >= minRemainingMs && sameScopes(token, machine))
    .filter((token) => canonicalJson(token.claims) === wanted)
    .reduce<TokenRecord | undefined>((a, b) => (a === undefined || lifeOf(b) > lifeOf(a) ? b : a), undefined);
}

function sameScopes(token: TokenRecord, machine: MachineRecord): boolean {
  return token.scopes.length === machine.scopes.size && token.scopes.every((id) => machine.scopes.has(id));
}

async function mintJwt(machine: MachineRecord, request: CreateRequest, world: World): Promise<Answer> {
  const nowMs = world.clock.nowMs();
  const issuedAt = Math.floor(nowMs / 1000);
  const expiresAt = issuedAt + Math.ceil(request.ttlSeconds ?? machine.defaultTokenTtlSeconds);
  const id = newTokenId();
  const subject = machine.id;
  const scopes = [...machine.scopes];
  const audience = world.switches.current.jwt_audience === "scopes" ? scopes : undefined;
  const claims = isJsonObject(request.claims) ? request.claims : {};
  const token = await world.jwts.sign({ id, subject, issuedAt, expiresAt, claims, audience });
  const view = jwtView(
    { id, subject, scopes, claims: request.claims, issuedAt, notBefore: issuedAt, expiresAt },
    nowMs,
  );
  return { status: 201, body: { ...view, token } };
}

/** @throws ApiError machine_token_reserved_claim */
function refuseReservedClaims({ format, claims }: CreateRequest, { switches }: World): void {
  if (format === "opaque" && switches.current.opaque_reserved_claims === "accept") return;
  if (!isJsonObject(claims)) return;
  const reserved = RESERVED_CLAIMS.find((name) => Object.hasOwn(claims, name));
  if (reserved === undefined) return;
  const longMessage = `You can't use the reserved claim: '${reserved}'`;
  throw apiError("machine_token_reserved_claim", { longMessage, param: reserved });
}

/** That a new token could satisfy what is asked of a reused one. `undefined` is a lifetime without end. */
function refuseUnreachable(minRemainingSeconds: number, ttlSeconds: number | undefined): void {
  if (ttlSeconds === undefined || minRemainingSeconds < ttlSeconds) return;
  const problems = new Problems();
  problems.bad("body.min_remaining_ttl_seconds", "Must be less than the token's lifetime");
  problems.throwIfAny(400);
}

/** @throws ApiError 400 */
function parseCreate(json: Json | undefined): CreateRequest {
  const body = objectBody(json);
  const problems = new Problems();
  const known = ["token_format", "seconds_until_expiration", "claims", "min_remaining_ttl_seconds"];
  for (const key of unknownKeys(body, known)) problems.bad(`body.${key}`, "Unrecognized key");
  const format = body.token_format ?? "opaque";
  if ((format !== "opaque" && format !== "jwt") || body.token_format === null) {
    problems.bad("body.token_format", "Expected 'opaque' or 'jwt'");
  }
  const ttlSeconds = body.seconds_until_expiration ?? undefined;
  if (ttlSeconds !== undefined && !isLifetime(ttlSeconds)) {
    problems.bad("body.seconds_until_expiration", "Expected a number greater than 0");
  }
  const minRemainingSeconds = body.min_remaining_ttl_seconds;
  if (minRemainingSeconds !== undefined && !isWhole(minRemainingSeconds)) {
    problems.bad("body.min_remaining_ttl_seconds", "Expected a whole number of at least 0");
  }
  const claims = body.claims ?? null;
  if (isDeeperThan(claims, MAX_CLAIMS_LEVELS)) problems.bad("body.claims", "Nested too deep");
  if (format === "jwt" && claims !== null && !isJsonObject(claims)) {
    problems.bad("body.claims", "Expected an object, as the token is a JWT");
  }
  problems.throwIfAny(400);
  return {
    format: format === "jwt" ? "jwt" : "opaque",
    ttlSeconds: isLifetime(ttlSeconds) ? ttlSeconds : undefined,
    claims,
    minRemainingSeconds: isWhole(minRemainingSeconds) ? minRemainingSeconds : undefined,
  };
}

/** A hundred thousand years: what can still be added to the present and be an exact number of milliseconds. */
const MAX_LIFETIME_SECONDS = 3_155_760_000_000;

function isLifetime(value: unknown): value is number {
  return typeof value === "number" && value > 0 && value <= MAX_LIFETIME_SECONDS;
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
