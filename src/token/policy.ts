import type { Json, MachineId, Token, Verdict } from "./token.ts";

/** What a caller demands of a valid token. Evaluated on every call; a verdict is never cached with it. */
export interface Policy {
  /** Empty accepts tokens of any machine. */
  readonly allowedSubjects: ReadonlySet<MachineId>;
  /** Top-level claims and the exact values they must have. */
  readonly requiredClaims: ReadonlyMap<string, Json>;
}

/** What a good token comes to under a caller's policy. */
export function verdictOf(token: Token, policy: Policy | undefined): Verdict {
  return policy === undefined || grants(policy, token) ? "valid" : "not_granted";
}

function grants(policy: Policy, token: Token): boolean {
  if (policy.allowedSubjects.size > 0 && !policy.allowedSubjects.has(token.subject)) return false;
  for (const [name, required] of policy.requiredClaims) {
    const claim = memberOf(token.claims, name);
    if (claim === undefined || !jsonEquals(claim, required)) return false;
  }
  return true;
}

/** JSON equality: the order of keys does not count, the order of elements does. */
export function jsonEquals(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isArray(a) || isArray(b)) {
    if (!isArray(a) || !isArray(b) || a.length !== b.length) return false;
    return a.every((element, index) => jsonEquals(element, b[index] ?? null));
  }
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => {
    const left = memberOf(a, name);
    const right = memberOf(b, name);
    return left !== undefined && right !== undefined && jsonEquals(left, right);
  });
}

/** An own member only: `constructor` or `__proto__` are claims like any other, never what an object inherits. */
function memberOf(json: Json | undefined, name: string): Json | undefined {
  if (json === undefined || json === null || typeof json !== "object" || isArray(json)) return undefined;
  return Object.hasOwn(json, name) ? json[name] : undefined;
}

function isArray(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
