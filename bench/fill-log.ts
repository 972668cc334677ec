import { randomBytes } from "node:crypto";
import type { TokenId } from "../src/token/token.ts";
import { connectReplica } from "../test/support/redis/redis-replica.ts";

const APPENDERS = 32;

/** Puts revocations into the log of a fleet as a replica does. */
export async function fillLog(redisPort: number, revocations: number, keyPrefix?: string): Promise<void> {
  const replica = connectReplica(
    { mode: "single", nodes: [{ host: "127.0.0.1", port: redisPort }] },
    { replica: "filler", commandTimeoutMs: 5_000, ...(keyPrefix === undefined ? {} : { keyPrefix }) },
  );
  let left = revocations;
  const append = async () => {
    while (left > 0) {
      left -= 1;
      const revokedAtMs = Date.now();
      await replica.log.append(
        {
          tokenId: `mt_${randomBytes(16).toString("hex")}` as TokenId,
          subject: undefined,
          reason: "filled in",
          revokedAtMs,
          rememberUntilMs: revokedAtMs + 3_600_000,
          source: "api",
          origin: "filler",
        },
        new AbortController().signal,
      );
    }
  };
  await replica.log.read(undefined, new AbortController().signal);
  await Promise.all(Array.from({ length: APPENDERS }, append));
  await replica.close();
}
