import { expect } from "vitest";
import { GatewayError } from "../../src/token/errors.ts";
import type { Verification } from "../../src/token/verification.ts";
import { type Domain, verifyRequest } from "./domain.ts";
import { settle } from "./fake-clock.ts";
import { secretOf, token, tokenId } from "./tokens.ts";

const SECRET = secretOf(1);

/** What a script can do. Each verification has a name, so that a later step can say what came of it. */
export type Step =
  | { verify: string; maxAgeMs?: number; cancelable?: true }
  | { answer: "valid" | "refused" | "revoked" | "unavailable" }
  | { cancel: string }
  | { expect: string; verdict?: string; source?: string; error?: string }
  | { pending: string }
  | { advanceMs: number }
  | { upstreamCalls: number }
  | "revoke begins"
  | "upstream confirms the revoke"
  | "upstream fails the revoke"
  | "the second question is refused"
  | "invalidate all"
  | "invalidate token";

/** Plays a script against one domain: an interleaving of verifications, revocations and the upstream's answers. */
export class ScriptRun {
  readonly #domain: Domain;
  readonly #outcomes = new Map<string, { verification?: Verification; error?: unknown }>();
  readonly #controllers = new Map<string, AbortController>();

  constructor(domain: Domain) {
    this.#domain = domain;
  }

  async play(step: Step): Promise<void> {
    if (typeof step === "string") await this.#playNamed(step);
    else if ("verify" in step) this.#verify(step.verify, step.maxAgeMs);
    else if ("answer" in step) this.#answer(step.answer, 0);
    else if ("cancel" in step) this.#controllers.get(step.cancel)?.abort();
    else if ("advanceMs" in step) this.#domain.clock.advance(step.advanceMs);
    else if ("upstreamCalls" in step) expect(this.#domain.upstream.verifyCount).toBe(step.upstreamCalls);
    else if ("pending" in step) expect(this.#outcomes.get(step.pending)).toEqual({});
    else this.#expect(step);
    await settle();
  }

  async #playNamed(step: string): Promise<void> {
    const { upstream, revoker, verifier } = this.#domain;
    if (step === "revoke begins") {
      const target = { tokenId: tokenId(1) };
      revoker
        .revoke({ target, reason: "leaked", wait: "replica", signal: new AbortController().signal })
        .catch(() => undefined);
    } else if (step === "upstream confirms the revoke") upstream.nextRevoke().resolve(token(1, { revoked: true }));
    else if (step === "upstream fails the revoke") {
      upstream.nextRevoke().reject(new GatewayError("UPSTREAM_TIMEOUT", "no answer in time"));
    } else if (step === "invalidate all") verifier.invalidate({ all: true });
    else if (step === "invalidate token") verifier.invalidate({ tokenId: tokenId(1) });
    else if (step === "the second question is refused") this.#answer("refused", 1);
    else throw new Error(`unknown step ${step}`);
  }

  #verify(name: string, maxAgeMs = Number.POSITIVE_INFINITY): void {
    const outcome: { verification?: Verification; error?: unknown } = {};
    const controller = new AbortController();
    this.#outcomes.set(name, outcome);
    this.#controllers.set(name, controller);
    const request = verifyRequest(SECRET, { maxAgeMs, signal: controller.signal });
    Promise.resolve(this.#domain.verifier.verify(request)).then(
      (verification) => {
        outcome.verification = verification;
      },
      (error: unknown) => {
        outcome.error = error;
      },
    );
  }

  #answer(kind: string, index: number): void {
    const [call] = this.#domain.upstream.verifies.splice(index, 1);
    if (call === undefined) throw new Error("nothing to answer");
    if (kind === "valid") call.resolve(token(1));
    else if (kind === "refused") call.resolve(undefined);
    else if (kind === "revoked") call.resolve(token(1, { revoked: true, revocationReason: "by hand" }));
    else call.reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away"));
  }

  #expect(step: { expect: string; verdict?: string; source?: string; error?: string }): void {
    const outcome = this.#outcomes.get(step.expect);
    const seen = {
      verdict: outcome?.verification?.verdict,
      source: outcome?.verification?.source,
      error: outcome?.error instanceof GatewayError ? outcome.error.reason : outcome?.error,
    };
    expect(seen).toEqual({
      verdict: step.verdict,
      source: step.verdict === undefined ? undefined : (step.source ?? seen.source),
      error: step.error,
    });
  }
}
