/**
 * How soon a revocation at one replica is known at another: until the first verification there is refused, and until a
 * watcher there hears of it. Both from when the revocation was acknowledged (which may be later: then 0) and from when it
 * was asked for.
 *
 *     npx tsx bench/propagation.ts [--json]        after npm run build
 */
import { Verdict, Wait } from "../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { MintedToken } from "../test/faults/emulator-process.ts";
import type { GatewayProcess } from "../test/faults/gateway-process.ts";
import { bench, percentiles } from "./harness.ts";

const REVOKES = 400;
const WARM_UP = 40;

interface Sample {
  readonly ackMs: number;
  readonly refusedAfterAckMs: number;
  readonly refusedMs: number;
  readonly watchedAfterAckMs: number;
  readonly watchedMs: number;
}

/** When each id was heard of. */
class Ear {
  readonly #heard = new Map<string, (atMs: number) => void>();
  readonly #closing = new AbortController();

  /** Resolves when the snapshot has been read: what comes then is news. */
  async listen(gateway: GatewayProcess): Promise<void> {
    const stream = gateway.revocations.watchRevocations({}, { signal: this.#closing.signal });
    await new Promise<void>((resolve, reject) => {
      const read = async () => {
        for await (const { event } of stream) {
          if (event.case === "snapshotComplete") resolve();
          if (event.case === "revocation") this.#heard.get(event.value.tokenId)?.(performance.now());
        }
      };
      read().catch((error: unknown) => {
        if (!this.#closing.signal.aborted) reject(error);
      });
    });
  }

  hears(id: string): Promise<number> {
    return new Promise((resolve) => this.#heard.set(id, resolve));
  }

  close(): void {
    this.#closing.abort();
  }
}

async function revokeOnce(a: GatewayProcess, b: GatewayProcess, ear: Ear, token: MintedToken): Promise<Sample> {
  // A verdict that B would go on using.
  const { verdict } = await b.tokens.verifyToken({ token: token.secret });
  if (verdict !== Verdict.VALID) throw new Error("a fresh token is not valid");
  const heard = ear.hears(token.id);
  const refused = firstRefusal(b, token);
  const askedAtMs = performance.now();
  await a.tokens.revokeToken({ target: { case: "tokenId", value: token.id }, wait: Wait.REPLICA });
  const ackAtMs = performance.now();
  const [refusedAtMs, heardAtMs] = await Promise.all([refused, heard]);
  return {
    ackMs: ackAtMs - askedAtMs,
    refusedAfterAckMs: Math.max(0, refusedAtMs - ackAtMs),
    refusedMs: refusedAtMs - askedAtMs,
    watchedAfterAckMs: Math.max(0, heardAtMs - ackAtMs),
    watchedMs: heardAtMs - askedAtMs,
  };
}

/** One call after the other, on one connection. */
async function firstRefusal(gateway: GatewayProcess, { secret }: MintedToken): Promise<number> {
  for (;;) {
    const { verdict } = await gateway.tokens.verifyToken({ token: secret });
    if (verdict !== Verdict.VALID) return performance.now();
  }
}

await bench(async ({ emulator, startGateway }) => {
  const [a, b] = [await startGateway("a"), await startGateway("b")];
  const ear = new Ear();
  await ear.listen(b);
  const samples: Sample[] = [];
  for (let count = 0; count < WARM_UP + REVOKES; count += 1) {
    const sample = await revokeOnce(a, b, ear, await emulator.mint());
    if (count >= WARM_UP) samples.push(sample);
  }
  ear.close();
  const of = (what: string, pick: (sample: Sample) => number) => percentiles(what, samples.map(pick));
  return {
    revokes: samples.length,
    ...of("acknowledged", ({ ackMs }) => ackMs),
    ...of("refused_at_b_after_asking", ({ refusedMs }) => refusedMs),
    ...of("refused_at_b_after_acknowledged", ({ refusedAfterAckMs }) => refusedAfterAckMs),
    ...of("watched_at_b_after_asking", ({ watchedMs }) => watchedMs),
    ...of("watched_at_b_after_acknowledged", ({ watchedAfterAckMs }) => watchedAfterAckMs),
  };
});
