import { systemClock } from "../../../src/system-clock.ts";
import type { RevocationLog } from "../../../src/token/ports.ts";
import { LogMirror } from "../../../src/workers/log-mirror.ts";
import { RelayedRevocationLog } from "../../../src/workers/relayed-revocation-log.ts";
import { RevocationLogRelay } from "../../../src/workers/revocation-log-relay.ts";
import { BOUND_MS } from "../redis/redis-replica.ts";
import { channelPair } from "./channel-pair.ts";

export interface RelayedHost {
  /** The log as a new worker of this host sees it. */
  worker(name: string): RelayedRevocationLog;
  close(): Promise<void>;
}

/** A host whose workers follow `log` through one relay, on this machine's clock. */
export function relayedHost(log: RevocationLog): RelayedHost {
  const clock = systemClock;
  const onError = (error: unknown) => {
    throw error;
  };
  const mirror = new LogMirror({ clock, minHoldMs: 3_600_000 });
  const relay = new RevocationLogRelay({ log, mirror, clock, boundMs: BOUND_MS, onError });
  return {
    worker(name) {
      const [here, there] = channelPair();
      relay.attach(name, here);
      return new RelayedRevocationLog({ channel: there, clock, readTimeoutMs: 10_000, onError });
    },
    close: () => relay.close(),
  };
}
