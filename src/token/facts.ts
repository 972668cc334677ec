import type { RevocationFact, SubjectFact } from "./ports.ts";
import type { MachineId, Token, TokenId } from "./token.ts";

/** What a fact is about: facts with one key are about the same thing, and the strictest of them says it all. */
export type FactKey = string & { readonly __brand: "FactKey" };

/** Ids of tokens and of machines never look alike; ids of keys are anybody's to choose. */
export function factKeyOf(fact: RevocationFact): FactKey {
  if ("tokenId" in fact) return tokenFactKey(fact.tokenId);
  return "keyId" in fact ? keyFactKey(fact.keyId) : subjectFactKey(fact.subject);
}

export function tokenFactKey(id: TokenId): FactKey {
  return `${id}` as FactKey;
}

export function subjectFactKey(subject: MachineId): FactKey {
  return `${subject}` as FactKey;
}

export function keyFactKey(keyId: string): FactKey {
  return `key ${keyId}` as FactKey;
}

export function isSubjectFact(fact: RevocationFact): fact is SubjectFact {
  return "issuedBeforeMs" in fact;
}

/** The machine whose tokens a fact is about; `undefined` when that is not known, or when it is about any machine's. */
export function machineOf(fact: RevocationFact): MachineId | undefined {
  return "keyId" in fact ? undefined : fact.subject;
}

/** Whether who holds `held` learns nothing from `fact`. Both are about the same thing. */
export function covers(held: RevocationFact, fact: RevocationFact): boolean {
  if (held.rememberUntilMs < fact.rememberUntilMs) return false;
  return !isSubjectFact(held) || !isSubjectFact(fact) || held.issuedBeforeMs >= fact.issuedBeforeMs;
}

/**
 * Both facts in one. A watermark only ever rises, and nothing is forgotten sooner for a second fact about it: whatever the
 * order in which they are learned, the outcome is the same.
 */
export function merge(held: RevocationFact, fact: RevocationFact): RevocationFact {
  const rememberUntilMs = Math.max(held.rememberUntilMs, fact.rememberUntilMs);
  if (isSubjectFact(held) && isSubjectFact(fact)) {
    return { ...(held.issuedBeforeMs >= fact.issuedBeforeMs ? held : fact), rememberUntilMs };
  }
  return held.rememberUntilMs >= fact.rememberUntilMs ? held : fact;
}

/**
 * Whether a watermark refuses a token: it was minted before. A JWT says in whole seconds when it was minted, and so counts as
 * minted at the beginning of its second: where the watermark is within that second, it is refused.
 */
export function isBefore(token: Token, watermark: SubjectFact): boolean {
  return token.createdAtMs < watermark.issuedBeforeMs;
}

/** Entries in their order, without those that say nothing which a later one does not say too. */
export function withoutCovered<T>(entries: readonly T[], factOf: (entry: T) => RevocationFact): T[] {
  const later = new Map<FactKey, RevocationFact>();
  const kept = entries.toReversed().filter((entry) => {
    const fact = factOf(entry);
    const key = factKeyOf(fact);
    const known = later.get(key);
    if (known !== undefined && covers(known, fact)) return false;
    later.set(key, known === undefined ? fact : merge(known, fact));
    return true;
  });
  return kept.reverse();
}
