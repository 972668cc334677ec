import { setTimeout as pause } from "node:timers/promises";
import { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded, summarize } from "../kit/statistics.ts";
import { runH2load } from "../load/h2load.ts";
import { runningGateway } from "../peers/gateway.ts";
import type { RunningPeer } from "../peers/peer.ts";
import type { Section, SectionContext } from "./section.ts";

const COUNTS = [1, 2, 3];
const IDLE_MS = 3_000;

export const replicas: Section = {
  name: "replicas",
  about: "1, 2 and 3 replicas on one Redis, all on the server's core: what one more costs, idle and under load",
  async run(context) {
    for (const count of COUNTS) await measure(context, count);
  },
};

async function measure(context: SectionContext, count: number): Promise<void> {
  const { world, material, options, record } = context;
  const fleet = `replicas-${process.pid}-${count}`;
  const gateways: BenchGateway[] = [];
  try {
    const peers: RunningPeer[] = [];
    for (let started = 0; started < count; started += 1) {
      const gateway = await BenchGateway.start(world, { fleet });
      gateways.push(gateway);
      peers.push(await runningGateway(world, gateway, material));
    }
    await load(context, peers, options.warmUpSeconds);
    const idleBeforeMs = cpuOf(peers);
    await pause(IDLE_MS);
    const idleMs = cpuOf(peers) - idleBeforeMs;
    const rounds: { cpuMicros: number; perSecond: number }[] = [];
    for (let round = 0; round < options.rounds; round += 1) rounds.push(await load(context, peers, options.seconds));
    record.setFigures("replicas", {
      [`${count}_req_per_second`]: rounded(summarize(rounds.map(({ perSecond }) => perSecond)).median),
      [`${count}_cpu_micros_per_request`]: rounded(summarize(rounds.map(({ cpuMicros }) => cpuMicros)).median, 3),
      [`${count}_idle_cpu_ms_per_second_and_replica`]: rounded((idleMs * 1000) / IDLE_MS / count, 3),
    });
  } finally {
    for (const gateway of gateways) await gateway.stop();
  }
}

/** All at once, 8 connections in all for each. */
async function load({ world }: SectionContext, peers: readonly RunningPeer[], seconds: number) {
  const beforeMs = cpuOf(peers);
  const pressure = { connections: 8, inFlight: 16, seconds };
  const results = await Promise.all(
    peers.map(async (peer) => {
      const result = await runH2load(peer.target, pressure, world.cores.load);
      await peer.confirm(result);
      return result;
    }),
  );
  const started = results.reduce((sum, result) => sum + result.started, 0);
  const perSecond = results.reduce((sum, result) => sum + result.requestsPerSecond, 0);
  return { cpuMicros: ((cpuOf(peers) - beforeMs) * 1000) / started, perSecond };
}

function cpuOf(peers: readonly RunningPeer[]): number {
  return peers.reduce((sum, peer) => sum + peer.usage().cpuMs, 0);
}
