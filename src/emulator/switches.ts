import { InvalidInput } from "./invalid-input.ts";
import { isJsonObject } from "./json.ts";

/**
 * How the emulator answers where public sources about Clerk disagree or are silent. Keys are spelled as on the control
 * API.
 */
export interface Switches {
  /**
   * What `seconds_until_expiration` null or absent means. `default_ttl` (default): the machine's `default_token_ttl`,
   * as the OpenAPI document says. `never`: `expiration: null`, as the docs and the SDK's comments say. JWTs take the
   * default TTL either way, because verifiers refuse a JWT without `exp`.
   */
  readonly absent_expiry: "default_ttl" | "never";
  /**
   * `scopes` (default): a JWT gets `aud`, the ids of the machines it grants access to, unless its claims have an `aud`;
   * several independent users rely on it. `none`: nothing is added, as a comment in the JavaScript SDK says.
   */
  readonly jwt_audience: "scopes" | "none";
  /**
   * Whether the reserved claims (iss, sub, exp, nbf, iat, jti) are refused in opaque tokens too. `accept` (default): an
   * opaque token's claims are a field of their own and shadow nothing, and the OpenAPI document sets no rule. `refuse`:
   * as in JWTs.
   */
  readonly opaque_reserved_claims: "accept" | "refuse";
  /** Status of a creation answered with a live token because of `min_remaining_ttl_seconds`. 201 (default): the only success in the OpenAPI document. */
  readonly reuse_status: 200 | 201;
  /**
   * Revoking a revoked token. `ok` (default): 200 with the token as first revoked, because the docs describe a state and
   * not a transition. `not_found`: 404. `conflict`: 409.
   */
  readonly revoke_again: "ok" | "not_found" | "conflict";
  /** Status of a refused verification. 404 (default): what the JavaScript SDK maps to "token invalid". 400: the other one in the OpenAPI document. */
  readonly verify_refusal_status: 400 | 404;
  /**
   * Verifying a revoked or expired token. `refuse` (default): as an unknown one, because the JavaScript SDK takes every
   * 200 for valid. `answer`: 200 with `revoked` or `expired` true.
   */
  readonly verify_dead_tokens: "refuse" | "answer";
  /** Whether verify takes `{"secret": …}` too, as three official SDKs send. false (default): the OpenAPI document has no such field. */
  readonly verify_legacy_secret: boolean;
  /**
   * Whether deleting a machine deletes its opaque tokens. true (default): a machine is deleted to cut it off. false: they
   * live on, to be verified, listed and revoked with the instance key. JWTs are not stored and live on either way.
   */
  readonly machine_deletion_kills_tokens: boolean;
  /**
   * Requests that each key may make in a window of 10 s, JWKS excepted; the next gets 429 with Retry-After. 0 (default): no limit.
   * Clerk's are 100 for development and 1000 for production instances; whether machine keys share the instance's is not public.
   */
  readonly rate_limit_per_10s: number;
  /** Milliseconds after a revocation for which verify still answers as if it had not happened. 0 (default): the docs say revocation is instant. */
  readonly revoke_propagation_ms: number;
}

const DEFAULT_SWITCHES: Switches = {
  absent_expiry: "default_ttl",
  jwt_audience: "scopes",
  opaque_reserved_claims: "accept",
  reuse_status: 201,
  revoke_again: "ok",
  verify_refusal_status: 404,
  verify_dead_tokens: "refuse",
  verify_legacy_secret: false,
  machine_deletion_kills_tokens: true,
  rate_limit_per_10s: 0,
  revoke_propagation_ms: 0,
};

/** The switches in force. */
export class Switchboard {
  readonly #initial: Switches;
  #current: Switches;

  /** @throws InvalidInput naming every unknown switch and value out of range */
  constructor(initial: Partial<Switches> = {}) {
    assertSwitches(initial);
    this.#initial = { ...DEFAULT_SWITCHES, ...initial };
    this.#current = this.#initial;
  }

  get current(): Switches {
    return this.#current;
  }

  /**
   * Sets the switches given and leaves the others. Sets none when one is wrong.
   *
   * @throws InvalidInput naming every unknown switch and value out of range
   */
  set(patch: Partial<Switches>): void {
    assertSwitches(patch);
    this.#current = { ...this.#current, ...patch };
  }

  /** Back to what the emulator was started with. */
  reset(): void {
    this.#current = this.#initial;
  }
}

type Rule = { readonly oneOf: readonly (string | number | boolean)[] } | { readonly wholeUpTo: number };

const RULES: Readonly<Record<keyof Switches, Rule>> = {
  absent_expiry: { oneOf: ["default_ttl", "never"] },
  jwt_audience: { oneOf: ["scopes", "none"] },
  opaque_reserved_claims: { oneOf: ["accept", "refuse"] },
  reuse_status: { oneOf: [200, 201] },
  revoke_again: { oneOf: ["ok", "not_found", "conflict"] },
  verify_refusal_status: { oneOf: [400, 404] },
  verify_dead_tokens: { oneOf: ["refuse", "answer"] },
  verify_legacy_secret: { oneOf: [true, false] },
  machine_deletion_kills_tokens: { oneOf: [true, false] },
  rate_limit_per_10s: { wholeUpTo: 1_000_000 },
  revoke_propagation_ms: { wholeUpTo: 3_600_000 },
};

export function assertSwitches(value: unknown): asserts value is Partial<Switches> {
  if (!isJsonObject(value)) throw new InvalidInput("switches", ["must be an object"]);
  const problems = Object.entries(value).flatMap(([key, given]) => problemsOf(key, given));
  if (problems.length > 0) throw new InvalidInput("switches", problems);
}

function problemsOf(key: string, given: unknown): string[] {
  const rule = Object.hasOwn(RULES, key) ? RULES[key as keyof Switches] : undefined;
  if (rule === undefined) return [`${key}: no such switch; there are ${Object.keys(RULES).join(", ")}`];
  if ("oneOf" in rule) {
    const allowed = rule.oneOf.some((option) => option === given);
    return allowed ? [] : [`${key}: must be ${rule.oneOf.map((option) => JSON.stringify(option)).join(" or ")}`];
  }
  const whole = typeof given === "number" && Number.isInteger(given) && given >= 0 && given <= rule.wholeUpTo;
  return whole ? [] : [`${key}: must be a whole number from 0 to ${rule.wholeUpTo}`];
}
