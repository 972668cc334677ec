import type { GatewayProcess } from "./gateway-process.ts";
import type { RedisPair } from "./redis-pair.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

/** What can be broken. */
export interface Stage {
  readonly redis: RedisPair;
  /** Each with the way on which alone it reaches Redis. */
  readonly gateways: readonly { readonly gateway: GatewayProcess; readonly way: TcpProxy }[];
}

export interface FaultKind {
  readonly name: string;
  /** Breaks something, lets `lasting` pass and mends it. `round` varies what is hit. Resolves when all is mended. */
  readonly strike: (stage: Stage, lasting: () => Promise<void>, round: number) => Promise<void>;
}

export const FAULT_KINDS: readonly FaultKind[] = [
  {
    name: "redis killed, data kept",
    strike: async ({ redis }, lasting) => {
      await redis.kill();
      await lasting();
      await redis.startAgain();
    },
  },
  {
    name: "redis paused",
    strike: async ({ redis }, lasting) => {
      redis.pause();
      await lasting();
      redis.resume();
    },
  },
  {
    name: "one replica partitioned",
    strike: async (stage, lasting, round) => {
      const way = wayOf(stage, round);
      way.cut("hold");
      await lasting();
      way.heal();
    },
  },
  {
    name: "failover, tail lost",
    strike: async ({ redis }, lasting) => {
      await redis.cutReplication();
      await lasting();
      await redis.failOver();
    },
  },
  {
    name: "FLUSHALL",
    strike: async ({ redis }, lasting) => {
      await redis.flushAll();
      await lasting();
    },
  },
  {
    name: "gateway killed",
    strike: async ({ gateways }, lasting, round) => {
      const gateway = gateways[round % gateways.length]?.gateway;
      await gateway?.kill();
      await lasting();
      await gateway?.start();
    },
  },
  {
    name: "half-open connections",
    strike: async (stage, lasting, round) => {
      const way = wayOf(stage, round);
      way.cut("lose");
      await lasting();
      way.heal();
    },
  },
  {
    name: "partition and failover",
    strike: async (stage, lasting, round) => {
      const way = wayOf(stage, round);
      await stage.redis.cutReplication();
      way.cut("hold");
      await lasting();
      await stage.redis.failOver();
      way.heal();
    },
  },
  {
    name: "redis killed, data lost",
    strike: async ({ redis }, lasting) => {
      await redis.kill();
      await lasting();
      await redis.startEmpty();
    },
  },
];

function wayOf({ gateways }: Stage, round: number): TcpProxy {
  const hit = gateways[round % gateways.length];
  if (hit === undefined) throw new Error("there are no gateways");
  return hit.way;
}
