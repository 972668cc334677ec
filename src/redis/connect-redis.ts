import type { Fleet, RevocationLog, VerdictStore } from "../token/ports.ts";
import { closeClient, openClient } from "./connection.ts";
import { logKeys, revocationsChannel, VerdictKeys } from "./keys.ts";
import { DEFAULT_KEY_PREFIX, type RedisOptions, type VerdictScope } from "./options.ts";
import { RedisRevocationLog } from "./revocation-log.ts";
import { Subscription } from "./subscription.ts";
import { RedisVerdictStore } from "./verdict-store.ts";

export interface RedisParts {
  readonly log: RevocationLog;
  /** Who follows the log. */
  readonly fleet: Fleet;
  readonly store: VerdictStore;
  /** Shares verdicts under another credential from now on. */
  readonly useScope: (scope: VerdictScope) => void;
  /** Verdicts under a credential of somebody's own, on the same connection. */
  readonly storeOf: (scope: VerdictScope) => VerdictStore;
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
  const forLog = connectRevocationLog(options);
  const forVerdicts = connectVerdictStore(options);
  return {
    log: forLog.log,
    fleet: forLog.fleet,
    store: forVerdicts.store,
    useScope: forVerdicts.useScope,
    storeOf: forVerdicts.storeOf,
    async close() {
      await Promise.all([forLog.close(), forVerdicts.close()]);
    },
  };
}

/** The log alone. @throws Error when the options contradict each other */
export function connectRevocationLog(options: RedisOptions): Pick<RedisParts, "log" | "fleet" | "close"> {
  checkOptions(options);
  const prefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX;
  const channel = revocationsChannel(prefix);
  const subscription = new Subscription(options, channel);
  const client = openClient(options, "commands");
  let connected = false;
  const turn = (now: boolean) => {
    if (now === connected) return;
    connected = now;
    options.onEvent({ kind: now ? "connected" : "disconnected" });
  };
  client.on("ready", () => turn(true));
  client.on("close", () => turn(false));
  const log = new RedisRevocationLog(options, client, subscription, logKeys(prefix), channel);
  subscription.open();
  return {
    log,
    fleet: log,
    async close() {
      await log.close();
      await Promise.all([subscription.close(), closeClient(client)]);
    },
  };
}

/** The verdicts alone. @throws Error when the options contradict each other */
export function connectVerdictStore(
  options: RedisOptions,
): Pick<RedisParts, "store" | "useScope" | "storeOf" | "close"> {
  checkOptions(options);
  const prefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX;
  const keysOf = ({ scope, hmacKey }: VerdictScope) => new VerdictKeys({ prefix, hmacKey, scope });
  const client = openClient(options, "commands");
  const store = new RedisVerdictStore(options, client, keysOf(options));
  return {
    store,
    useScope: (scope) => store.useKeys(keysOf(scope)),
    storeOf: (scope) => new RedisVerdictStore(options, client, keysOf(scope)),
    close: () => closeClient(client),
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
