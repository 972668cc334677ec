import type { RevocationLog, VerdictStore } from "../token/ports.ts";
import { closeClient, openClient } from "./connection.ts";
import { logKeys, revocationsChannel, VerdictKeys } from "./keys.ts";
import { DEFAULT_KEY_PREFIX, type RedisOptions } from "./options.ts";
import { RedisRevocationLog } from "./revocation-log.ts";
import { Subscription } from "./subscription.ts";
import { RedisVerdictStore } from "./verdict-store.ts";

export interface RedisParts {
  readonly log: RevocationLog;
  readonly store: VerdictStore;
  /** Withdraws this replica from the fleet and closes all connections. Must come after the last use of either. */
  close(): Promise<void>;
}

/**
 * Begins to connect and returns at once. While there is no connection the log rejects and the store misses; connecting goes
 * on until `close`. Needs Redis 6.2 or later, or a Valkey.
 *
 * The log, the verdicts and the subscription have connections of their own: a long read must not cost a verification its
 * budget.
 *
 * @throws Error when the options contradict each other
 */
export function connectRedis(options: RedisOptions): RedisParts {
  const prefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX;
  checkOptions(options);
  const keys = logKeys(prefix);
  const channel = revocationsChannel(prefix);
  const verdictKeys = new VerdictKeys({ prefix, hmacKey: options.hmacKey, scope: options.scope });
  const subscription = new Subscription(options, channel);
  const logClient = openClient(options, "commands");
  const storeClient = openClient(options, "commands");
  let connected = false;
  const turn = (now: boolean) => {
    if (now === connected) return;
    connected = now;
    options.onEvent({ kind: now ? "connected" : "disconnected" });
  };
  logClient.on("ready", () => turn(true));
  logClient.on("close", () => turn(false));
  const log = new RedisRevocationLog(options, logClient, subscription, keys, channel);
  subscription.open();
  return {
    log,
    store: new RedisVerdictStore(options, storeClient, verdictKeys),
    async close() {
      await log.close();
      await Promise.all([subscription.close(), closeClient(logClient), closeClient(storeClient)]);
    },
  };
}

function checkOptions({ mode, nodes, sentinelMaster }: RedisOptions): void {
  if ("unixSocket" in nodes) {
    if (mode !== "single") throw new Error("a Unix socket leads to a single server");
  } else if (nodes.length === 0) {
    throw new Error("no Redis node is named");
  }
  if (mode === "sentinel" && sentinelMaster === undefined)
    throw new Error("the sentinels' name of the primary is missing");
}
