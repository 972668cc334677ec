import type { KnownToken } from "../token/observation.ts";
import type { VerdictStore } from "../token/ports.ts";
import type { TokenSecret } from "../token/token.ts";
import { type Client, runScript } from "./connection.ts";
import { withDeadline } from "./deadline.ts";
import type { VerdictKeys } from "./keys.ts";
import type { RedisOptions } from "./options.ts";
import { RedisError } from "./redis-error.ts";
import { parseServerTime, parseVerdictReply } from "./replies.ts";
import { GET_VERDICT, SERVER_TIME } from "./scripts.ts";
import { decodeVerdict, encodeVerdict } from "./verdict-codec.ts";

const SEAL_LENGTH = 22;
/** Writes under way at once; what exceeds it is not shared. */
const MAX_WRITES = 256;

/**
 * Verdicts in Redis, each under its own key and gone when it may no longer decide.
 *
 * A value says how long it lives from the start of the request that observed it; what is left of that, by the server that
 * holds it, tells its age wherever it is read, without comparing the clocks of replicas.
 */
export class RedisVerdictStore implements VerdictStore {
  readonly #options: RedisOptions;
  readonly #client: Client;
  #keys: VerdictKeys;
  /** Questions that were given up and that Redis still owes an answer to. */
  #overdue = 0;
  #writes = 0;

  constructor(options: RedisOptions, client: Client, keys: VerdictKeys) {
    this.#options = options;
    this.#client = client;
    this.#keys = keys;
  }

  /** Names and seals verdicts otherwise from now on. What is under way goes to its end as it began. */
  useKeys(keys: VerdictKeys): void {
    this.#keys = keys;
  }

  async get(secret: TokenSecret, epoch: string): Promise<KnownToken | undefined> {
    const { clock } = this.#options;
    const keys = this.#keys;
    const key = keys.verdict(secret, epoch);
    const askedAtMs = clock.monotonicMs();
    const found = await this.#withinBudget(async () =>
      parseVerdictReply(await runScript(this.#client, GET_VERDICT, [key], [])),
    );
    if (found === undefined) return undefined;
    const verdict = open(keys, key, found.value);
    if (verdict === undefined || found.leftMs < 0 || found.leftMs > verdict.lifeMs) {
      const error = new RedisError("a shared verdict is skipped: it is not what a gateway with the same key wrote");
      this.#options.onEvent({ kind: "error", error });
      return undefined;
    }
    // It was this old when Redis answered, so the request that observed it began no earlier than this long before we asked.
    const ageMs = verdict.lifeMs - found.leftMs;
    const observedAtMonotonicMs = askedAtMs - ageMs;
    return {
      token: verdict.token,
      observedAtMonotonicMs,
      observedAtMs: clock.wallMs() - (clock.monotonicMs() - observedAtMonotonicMs),
      uses: 0,
    };
  }

  async claim(secret: TokenSecret, leaseMs: number): Promise<boolean> {
    const key = this.#keys.claim(secret);
    const answer = await this.#withinBudget(() => this.#client.set(key, "1", "PX", Math.ceil(leaseMs), "NX"));
    return answer === "OK";
  }

  put(secret: TokenSecret, epoch: string, observation: KnownToken): void {
    if (this.#client.status !== "ready" || this.#writes >= MAX_WRITES || this.#overdue > 0) return;
    this.#writes += 1;
    this.#write(this.#keys, this.#keys.verdict(secret, epoch), observation)
      .catch(() => undefined)
      .finally(() => {
        this.#writes -= 1;
      });
  }

  /**
   * The end of its life is given as an instant of the server's clock, so that a write which is held up on its way does not
   * make the verdict younger. The server's time was read before `readAtMs`, which puts that instant too early, if anything.
   */
  async #write(keys: VerdictKeys, key: string, observation: KnownToken): Promise<void> {
    const { clock, commandTimeoutMs } = this.#options;
    const lifeMs = Math.floor(this.#lifeMs(observation));
    if (lifeMs <= 0) return;
    const asked = runScript(this.#client, SERVER_TIME, [key], []).then(parseServerTime);
    const serverMs = await withDeadline(asked, commandTimeoutMs, clock);
    const leftMs = lifeMs - (clock.monotonicMs() - observation.observedAtMonotonicMs);
    if (leftMs < 1) return;
    const value = encodeVerdict({ token: observation.token, lifeMs });
    await this.#client.set(key, keys.seal(key, value) + value, "PXAT", Math.floor(serverMs + leftMs));
  }

  /** From the start of the request: the TTL, or until the token expires if that is sooner. */
  #lifeMs({ token, observedAtMs }: KnownToken): number {
    return Math.min(this.#options.verdictTtlMs, (token.expiresAtMs ?? Number.POSITIVE_INFINITY) - observedAtMs);
  }

  /**
   * While an answer is overdue, the next question is not even asked: a server that has stopped costs a budget per socket
   * timeout, not one per verification, and no queue grows in front of it.
   */
  async #withinBudget<T>(ask: () => Promise<T>): Promise<T | undefined> {
    if (this.#client.status !== "ready" || this.#overdue > 0) return undefined;
    const { verdictBudgetMs, clock } = this.#options;
    let settled = false;
    let late = false;
    const asked = ask().finally(() => {
      settled = true;
      if (late) this.#overdue -= 1;
    });
    try {
      return await withDeadline(asked, verdictBudgetMs, clock);
    } catch {
      if (!settled) {
        late = true;
        this.#overdue += 1;
      }
      return undefined;
    }
  }
}

function open(keys: VerdictKeys, key: string, sealed: string) {
  const value = sealed.slice(SEAL_LENGTH);
  return keys.seal(key, value) === sealed.slice(0, SEAL_LENGTH) ? decodeVerdict(value) : undefined;
}
