import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createDomain, type Domain, verifyRequest } from "../../test/support/domain.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { secretOf, token, tokenId } from "../../test/support/tokens.ts";
import { GatewayError } from "./errors.ts";
import type { Token } from "./token.ts";
import type { Verification } from "./verification.ts";

const TOKENS = 3;

/** The commands of a history. `pick` chooses among the calls that wait at the upstream. */
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("verify" as const), n: fc.nat(TOKENS - 1), forced: fc.boolean() }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("recall" as const), n: fc.nat(TOKENS - 1) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("answerVerify" as const), pick: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("failVerify" as const), pick: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("revoke" as const), n: fc.nat(TOKENS - 1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("answerRevoke" as const), pick: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("failRevoke" as const), pick: fc.nat(20), done: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), pick: fc.nat(20) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: fc.constantFrom(1, 500, 2_000, 30_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("jumpWall" as const), ms: fc.constantFrom(-60_000, 5_000, 60_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("invalidate" as const), n: fc.nat(TOKENS) }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

describe("Verifier, over random histories", () => {
  it("never answers VALID to a call that began after a revoke was acknowledged, or to a token that had expired", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
        const history = new History(await createDomain({ maxKnown: 2, maxRefused: 2 }));
        for (const next of commands) await history.play(next);
        await history.end();
      }),
      { numRuns: 1_500 },
    );
  });
});

/** A model of the upstream beside the real domain: what it would say at the instant that each question arrived. */
class History {
  readonly #domain: Domain;
  /** Wall-clock expirations, so that some tokens die during a history. */
  readonly #expiresAtMs: (number | undefined)[];
  readonly #revokedUpstream = new Set<number>();
  readonly #acknowledged = new Set<number>();
  /** What the upstream knew when the question arrived: its answer may be that old, never newer than it is sent. */
  readonly #asked: { n: number; call: ReturnType<Domain["upstream"]["nextVerify"]>; knew: Token | undefined }[] = [];
  readonly #revoking: { n: number; call: ReturnType<Domain["upstream"]["nextRevoke"]> }[] = [];
  readonly #cancels: AbortController[] = [];
  readonly #calls: Promise<void>[] = [];

  constructor(domain: Domain) {
    this.#domain = domain;
    this.#expiresAtMs = [undefined, domain.clock.wallMs() + 40_000, undefined];
  }

  async play(next: Command): Promise<void> {
    switch (next.kind) {
      case "verify":
        this.#verify(next.n, next.forced);
        break;
      case "recall":
        this.#recall(next.n);
        break;
      case "answerVerify":
        take(this.#asked, next.pick, ({ call, knew }) => call.resolve(knew));
        break;
      case "failVerify":
        take(this.#asked, next.pick, ({ call }) => call.reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away")));
        break;
      case "revoke":
        this.#revoke(next.n);
        break;
      case "answerRevoke":
        take(this.#revoking, next.pick, ({ n, call }) => {
          this.#revokedUpstream.add(n);
          call.resolve(this.#token(n));
        });
        break;
      case "failRevoke":
        take(this.#revoking, next.pick, ({ n, call }) => {
          if (next.done) this.#revokedUpstream.add(n);
          call.reject(new GatewayError("UPSTREAM_TIMEOUT", "no answer in time"));
        });
        break;
      case "cancel":
        take(this.#cancels, next.pick, (controller) => controller.abort());
        break;
      case "advance":
        this.#domain.clock.advance(next.ms);
        break;
      case "jumpWall":
        this.#domain.clock.jumpWall(next.ms);
        break;
      case "invalidate":
        this.#domain.verifier.invalidate(next.n === TOKENS ? { all: true } : { tokenId: tokenId(next.n) });
        break;
    }
    // No two things happen at the same instant of a real clock.
    this.#domain.clock.advance(0.001);
    await Promise.resolve();
    this.#collect();
    await settle();
    this.#collect();
  }

  /** Answers what is left; nothing may hang or be left behind. */
  async end(): Promise<void> {
    while (this.#asked.length + this.#revoking.length > 0) {
      await this.play({ kind: "answerVerify", pick: 0 });
      await this.play({ kind: "answerRevoke", pick: 0 });
    }
    await Promise.all(this.#calls);
    expect(this.#domain.verifier.flightCount).toBe(0);
    expect(this.#domain.recorder.pendingCount).toBe(0);
    await this.#domain.feed.close();
  }

  #verify(n: number, forced: boolean): void {
    const revokedBefore = this.#acknowledged.has(n);
    const controller = new AbortController();
    this.#cancels.push(controller);
    const maxAgeMs = forced ? 0 : Number.POSITIVE_INFINITY;
    const request = verifyRequest(secretOf(n), { maxAgeMs, signal: controller.signal });
    const answer = Promise.resolve(this.#domain.verifier.verify(request)).then(
      (verification) => this.#check(n, verification, revokedBefore),
      (error: unknown) => expect(error).toBeInstanceOf(GatewayError),
    );
    this.#calls.push(answer);
  }

  #recall(n: number): void {
    const { verifier } = this.#domain;
    const before = verifier.counts.rows();
    const verification = verifier.recall(secretOf(n));
    const bytes = Buffer.from(` ${secretOf(n)} `);
    const recalled = verifier.recallBytes(bytes, 1, bytes.length - 1);
    if (recalled !== undefined && "bytes" in recalled) {
      expect(verification?.verdict).toBe("valid");
      expect(recalled.bytes.toString("latin1", recalled.from, recalled.to)).toBe(`${n}`);
    } else {
      expect(recalled).toEqual(verification);
      // As the lane would, so that the answer comes to stand.
      if (recalled !== undefined) recalled.encoded = `${n}`;
    }
    expect(verifier.counts.rows()).toEqual(before);
    if (verification === undefined) return;
    this.#check(n, verification, this.#acknowledged.has(n));
    // The same as who demands nothing is told at this instant.
    expect(verifier.verify(verifyRequest(secretOf(n)))).toMatchObject({ verdict: verification.verdict });
  }

  #check(n: number, { verdict, token: about }: Verification, revokedBefore: boolean): void {
    if (verdict !== "valid") return;
    expect(revokedBefore, `VALID for token ${n} after its revoke was acknowledged`).toBe(false);
    expect(about?.id).toBe(tokenId(n));
    expect(this.#expiresAtMs[n] ?? Number.POSITIVE_INFINITY).toBeGreaterThan(this.#domain.clock.wallMs());
  }

  #revoke(n: number): void {
    const request = { target: { tokenId: tokenId(n) }, reason: undefined, wait: "fleet" as const };
    const done = this.#domain.revoker.revoke({ ...request, signal: new AbortController().signal }).then(
      () => {
        this.#acknowledged.add(n);
      },
      (error: unknown) => expect(error).toBeInstanceOf(GatewayError),
    );
    this.#calls.push(done);
  }

  /** Moves new questions from the upstream into the model, with what it knows now. */
  #collect(): void {
    const { upstream } = this.#domain;
    while (upstream.verifies.length > 0) {
      const call = upstream.nextVerify();
      const n = Number(call.secret.slice("mt_secret_".length));
      this.#asked.push({ n, call, knew: this.#revokedUpstream.has(n) ? undefined : this.#token(n) });
    }
    while (upstream.revokes.length > 0) {
      const call = upstream.nextRevoke();
      this.#revoking.push({ n: Number.parseInt(call.id.slice(3), 16), call });
    }
  }

  #token(n: number): Token {
    return token(n, { expiresAtMs: this.#expiresAtMs[n], revoked: this.#revokedUpstream.has(n) });
  }
}

function take<T>(from: T[], pick: number, use: (item: T) => void): void {
  if (from.length === 0) return;
  for (const item of from.splice(pick % from.length, 1)) use(item);
}
