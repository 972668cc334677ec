import type { RedisParts } from "../../../src/redis/connect-redis.ts";
import { systemClock } from "../../../src/system-clock.ts";
import { Digester } from "../../../src/token/digest.ts";
import type { RevocationLog } from "../../../src/token/ports.ts";
import { Publisher } from "../../../src/token/publisher.ts";
import { Recorder } from "../../../src/token/recorder.ts";
import { RevocationFeed } from "../../../src/token/revocation-feed.ts";
import { Revocations } from "../../../src/token/revocations.ts";
import { Revoker } from "../../../src/token/revoker.ts";
import type { Token, TokenId, TokenSecret } from "../../../src/token/token.ts";
import { VerdictCache } from "../../../src/token/verdict-cache.ts";
import { Verifier } from "../../../src/token/verifier.ts";
import { verifyRequest } from "../domain.ts";
import { ScriptedUpstream } from "../scripted-upstream.ts";
import { token } from "../tokens.ts";
import { BOUND_MS } from "./redis-replica.ts";

/** An upstream that all replicas ask: it answers at once, and knows every token `mt_secret_<n>` as number n. */
export class SharedUpstream extends ScriptedUpstream {
  readonly #revoked = new Set<TokenId>();
  /** Questions asked, by secret. */
  readonly asked: TokenSecret[] = [];

  override async verifyToken(secret: TokenSecret): Promise<Token | undefined> {
    this.asked.push(secret);
    const n = Number(/^mt_secret_(\d+)$/.exec(secret)?.[1]);
    return Number.isNaN(n) ? undefined : this.#tokenOf(n);
  }

  override async revokeToken(id: TokenId, reason: string | undefined): Promise<Token> {
    this.#revoked.add(id);
    return { ...this.#tokenOf(Number.parseInt(id.slice("mt_".length), 16)), revocationReason: reason };
  }

  #tokenOf(n: number): Token {
    const known = token(n, { claims: { n } });
    return { ...known, revoked: this.#revoked.has(known.id) };
  }
}

/** The domain of one replica on this machine's clock, with Redis behind it. */
export async function startReplica(name: string, { log, store }: RedisParts, upstream: SharedUpstream) {
  const clock = systemClock;
  const minHoldMs = 60_000;
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const revocations = new Revocations({ clock, minHoldMs });
  const recorder = new Recorder({
    log,
    revocations,
    clock,
    origin: name,
    retentionMs: 3_600_000,
    longestJwtMs: 86_400_000,
    minHoldMs,
    appendTimeoutMs: 1_000,
    onAppendError: onError,
  });
  const feed = startableFeed(log, revocations, onError, () => {
    verifier.invalidate({ all: true });
    recorder.recordMissing();
  });
  const cache = new VerdictCache({
    clock,
    ttlMs: 30_000,
    refusalTtlMs: 2_000,
    maxKnown: 1_000,
    maxKnownBytes: 10_000_000,
    maxRefused: 100,
  });
  const verifier = new Verifier({
    upstream,
    store,
    cache,
    revocations,
    feed,
    recorder,
    clock,
    digester: new Digester(upstream.verifyScope),
    minCursorTimeoutMs: 5_000,
  });
  const publisher = new Publisher({ recorder, log, clock, boundMs: BOUND_MS });
  const revoker = new Revoker({ upstream, verifier, recorder, revocations, publisher });
  await feed.start();
  return {
    name,
    feed,
    revocations,
    recorder,
    errors,
    verify: async (secret: TokenSecret) => await verifier.verify(verifyRequest(secret)),
    revoke: (tokenId: TokenId, wait: "replica" | "fleet" = "replica") =>
      revoker.revoke({ target: { tokenId }, reason: "test", wait, signal: new AbortController().signal }),
    recordedAt(tokenId: TokenId) {
      const fact = revocations.find(tokenId);
      return fact && revocations.recordedAt(fact);
    },
    isFresh: () => feed.isFresh(clock.monotonicMs()),
    async close() {
      recorder.close();
      await feed.close();
    },
  };
}

export type Replica = Awaited<ReturnType<typeof startReplica>>;

function startableFeed(
  log: RevocationLog,
  revocations: Revocations,
  onReadError: (error: unknown) => void,
  onRestart: () => void,
): RevocationFeed {
  return new RevocationFeed({ log, revocations, clock: systemClock, boundMs: BOUND_MS, onReadError, onRestart });
}
