import { describe, it } from "vitest";
import { createDomain, REFUSAL_TTL_MS, TTL_MS } from "../../test/support/domain.ts";
import { ScriptRun, type Step } from "../../test/support/script-run.ts";

const table: { title: string; script: Step[] }[] = [
  {
    title: "answers from the upstream first and from memory after",
    script: [
      { verify: "a" },
      { answer: "valid" },
      { expect: "a", verdict: "valid", source: "upstream" },
      { verify: "b" },
      { expect: "b", verdict: "valid", source: "memory" },
      { upstreamCalls: 1 },
    ],
  },
  {
    title: "answers REVOKED to a flight that began before the revoke and returned VALID after it",
    script: [
      { verify: "a" },
      "revoke begins",
      "upstream confirms the revoke",
      { answer: "valid" },
      { expect: "a", verdict: "revoked", source: "fact" },
      { verify: "b" },
      { expect: "b", verdict: "revoked", source: "fact" },
    ],
  },
  {
    title: "answers REVOKED to a caller that joined the flight after the revoke",
    script: [
      { verify: "a" },
      "revoke begins",
      "upstream confirms the revoke",
      { verify: "b" },
      { upstreamCalls: 1 },
      { answer: "valid" },
      { expect: "b", verdict: "revoked", source: "fact" },
    ],
  },
  {
    title: "refuses from memory as soon as the upstream has confirmed the revoke",
    script: [
      { verify: "a" },
      { answer: "valid" },
      "revoke begins",
      { verify: "b" },
      { expect: "b", verdict: "valid", source: "memory" },
      "upstream confirms the revoke",
      { verify: "c" },
      { expect: "c", verdict: "revoked", source: "fact" },
      { upstreamCalls: 1 },
    ],
  },
  {
    title: "lets a revocation decide even for a caller who demands the upstream's word",
    script: [
      { verify: "a" },
      { answer: "valid" },
      "revoke begins",
      "upstream confirms the revoke",
      { verify: "b", maxAgeMs: 0 },
      { expect: "b", verdict: "revoked", source: "fact" },
    ],
  },
  {
    title: "answers REVOKED, not INVALID, when the upstream refuses a token whose revocation is known",
    script: [
      { verify: "a" },
      { answer: "valid" },
      { advanceMs: TTL_MS },
      { verify: "b" },
      "revoke begins",
      "upstream confirms the revoke",
      { answer: "refused" },
      { expect: "b", verdict: "revoked", source: "fact" },
    ],
  },
  {
    title: "asks again after a revoke whose outcome is not known",
    script: [
      { verify: "a" },
      { answer: "valid" },
      "revoke begins",
      "upstream fails the revoke",
      { verify: "b" },
      { pending: "b" },
      { upstreamCalls: 2 },
    ],
  },
  {
    title: "neither caches nor believes an answer that was under way when everything was invalidated",
    script: [
      { verify: "a" },
      "invalidate all",
      { advanceMs: 1 },
      { verify: "b" },
      { upstreamCalls: 1 },
      { answer: "valid" },
      { pending: "a" },
      { pending: "b" },
      { verify: "c" },
      { upstreamCalls: 2 },
      { answer: "valid" },
      { expect: "a", verdict: "valid", source: "upstream" },
      { expect: "b", verdict: "valid", source: "upstream" },
      { expect: "c", verdict: "valid", source: "upstream" },
      { upstreamCalls: 2 },
    ],
  },
  {
    title: "asks again after one token was invalidated",
    script: [
      { verify: "a" },
      { answer: "valid" },
      "invalidate token",
      { advanceMs: 1 },
      { verify: "b" },
      { pending: "b" },
      { answer: "valid" },
      { expect: "b", verdict: "valid", source: "upstream" },
      { verify: "c" },
      { expect: "c", verdict: "valid", source: "memory" },
    ],
  },
  {
    title: "keeps a verdict for exactly its TTL, counted from the start of the request",
    script: [
      { verify: "a" },
      { advanceMs: 1_000 },
      { answer: "valid" },
      { advanceMs: TTL_MS - 1_001 },
      { verify: "b" },
      { expect: "b", verdict: "valid", source: "memory" },
      { advanceMs: 1 },
      { verify: "c" },
      { pending: "c" },
    ],
  },
  {
    title: "remembers a refusal for a moment only",
    script: [
      { verify: "a" },
      { answer: "refused" },
      { expect: "a", verdict: "invalid", source: "upstream" },
      { verify: "b" },
      { expect: "b", verdict: "invalid", source: "memory" },
      { advanceMs: REFUSAL_TTL_MS },
      { verify: "c" },
      { pending: "c" },
    ],
  },
  {
    title: "forgets a good verdict as soon as the upstream refuses the token",
    script: [
      { verify: "a" },
      { answer: "valid" },
      { advanceMs: 10 },
      { verify: "b", maxAgeMs: 0 },
      { answer: "refused" },
      { expect: "b", verdict: "invalid", source: "upstream" },
      { verify: "c" },
      { expect: "c", verdict: "invalid", source: "memory" },
    ],
  },
  {
    title: "does not let an older answer that arrives late replace a newer refusal",
    script: [
      { verify: "a" },
      { advanceMs: 10 },
      { verify: "b", maxAgeMs: 5 },
      { upstreamCalls: 2 },
      "the second question is refused",
      { expect: "b", verdict: "invalid" },
      { answer: "valid" },
      { verify: "c" },
      { expect: "c", verdict: "invalid", source: "memory" },
    ],
  },
  {
    title: "never caches an undecided answer",
    script: [
      { verify: "a" },
      { answer: "unavailable" },
      { expect: "a", error: "UPSTREAM_UNAVAILABLE" },
      { verify: "b" },
      { pending: "b" },
      { upstreamCalls: 2 },
    ],
  },
  {
    title: "keeps answering from memory while the upstream is away",
    script: [
      { verify: "a" },
      { answer: "valid" },
      { advanceMs: 10 },
      { verify: "b", maxAgeMs: 0 },
      { answer: "unavailable" },
      { expect: "b", error: "UPSTREAM_UNAVAILABLE" },
      { verify: "c" },
      { expect: "c", verdict: "valid", source: "memory" },
    ],
  },
  {
    title: "cancels one waiter alone",
    script: [
      { verify: "a", cancelable: true },
      { verify: "b" },
      { cancel: "a" },
      { expect: "a", error: "CANCELED" },
      { pending: "b" },
      { answer: "valid" },
      { expect: "b", verdict: "valid", source: "upstream" },
      { upstreamCalls: 1 },
    ],
  },
  {
    title: "joins a question that is young enough for max_age and asks anew when it is not",
    script: [
      { verify: "a" },
      { advanceMs: 100 },
      { verify: "b", maxAgeMs: 100 },
      { upstreamCalls: 1 },
      { advanceMs: 1 },
      { verify: "c", maxAgeMs: 100 },
      { upstreamCalls: 2 },
    ],
  },
  {
    title: "keeps the newer question when the older one of the same token ends",
    script: [
      { verify: "a" },
      { advanceMs: 10 },
      { verify: "b", maxAgeMs: 5 },
      { upstreamCalls: 2 },
      { answer: "valid" },
      { expect: "a", verdict: "valid", source: "upstream" },
      { pending: "b" },
      { verify: "c", maxAgeMs: 0 },
      { upstreamCalls: 2 },
    ],
  },
  {
    title: "does not trust a 200 whose body says revoked, and makes a fact of it",
    script: [
      { verify: "a" },
      { answer: "revoked" },
      { expect: "a", verdict: "revoked", source: "upstream" },
      { verify: "b" },
      { expect: "b", verdict: "revoked", source: "fact" },
      { upstreamCalls: 1 },
    ],
  },
];

describe("Verifier, by interleaving", () => {
  it.each(table)("$title", async ({ script }) => {
    const domain = await createDomain();
    const run = new ScriptRun(domain);
    for (const step of script) await run.play(step);
    await domain.feed.close();
  });
});
