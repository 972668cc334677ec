import { join } from "node:path";
import type { Carrier } from "../kit/address.ts";
import { CannotRun, reasonOf } from "../kit/cannot-run.ts";
import { percentile } from "../kit/statistics.ts";
import { latenciesOf, type Pressure, runH2load } from "../load/h2load.ts";
import { gateway, gatewayOnNode } from "../peers/gateway.ts";
import { grpcGo } from "../peers/grpc-go.ts";
import { nginx } from "../peers/nginx.ts";
import { clerkBackend, connectNode, grpcJs, nodeHttp2 } from "../peers/node-peers.ts";
import { opa } from "../peers/opa.ts";
import type { Peer, RunningPeer } from "../peers/peer.ts";
import type { SectionContext } from "./section.ts";

export interface Shape {
  readonly name: string;
  readonly about: string;
  readonly carrier: Carrier;
  readonly connections: number;
  readonly inFlight: number;
  /** At this rate what counts is latency. */
  readonly ratePerSecond?: number;
}

export const SHAPES: readonly Shape[] = [
  { name: "8x16", about: "8 connections, 16 calls in flight on each", carrier: "tcp", connections: 8, inFlight: 16 },
  { name: "64x1", about: "64 connections, one call at a time", carrier: "tcp", connections: 64, inFlight: 1 },
  {
    name: "1x1",
    about: "latency: one connection, 200 calls per second",
    carrier: "tcp",
    connections: 1,
    inFlight: 1,
    ratePerSecond: 200,
  },
  { name: "unix", about: "8x16 over a Unix socket", carrier: "unix", connections: 8, inFlight: 16 },
  { name: "tls", about: "8x16 over TLS", carrier: "tls", connections: 8, inFlight: 16 },
];

export const PEERS: readonly Peer[] = [
  gateway,
  gatewayOnNode,
  connectNode,
  grpcJs,
  nodeHttp2,
  grpcGo,
  nginx,
  clerkBackend,
  opa,
];

const QUICK_PEERS = new Set([gateway, connectNode, grpcJs, nodeHttp2, grpcGo]);
const QUICK_SHAPES = new Set(["8x16", "64x1", "1x1", "tls"]);

/** Measures the shapes with all peers, round by round: A B C A B C. */
export async function measureShapes(context: SectionContext): Promise<void> {
  const { options, record, world } = context;
  const shapes = SHAPES.filter(({ name }) =>
    options.only.length > 0 ? options.only.includes(name) : !options.quick || QUICK_SHAPES.has(name),
  );
  if (shapes.length === 0) return;
  if (options.quick && options.only.length === 0) {
    const rest = [
      ...SHAPES.filter(({ name }) => !QUICK_SHAPES.has(name)).map(({ name }) => name),
      ...(options.peers.length > 0 ? [] : PEERS.filter((peer) => !QUICK_PEERS.has(peer)).map(({ title }) => title)),
    ];
    for (const what of rest) record.addGap(what, "left out by --quick");
  }
  const peers = await prepare(context);
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const peer of peers) {
      world.log(`round ${round} of ${options.rounds}: ${peer.title}`);
      for (const carrier of peer.carriers) {
        const wanted = shapes.filter((shape) => shape.carrier === carrier);
        if (wanted.length > 0 && !isMissing(context, peer, carrier)) await measurePeer(context, peer, carrier, wanted);
      }
    }
  }
  for (const peer of peers) record.titles.set(peer.name, peer.title);
}

async function prepare({ options, record, world }: SectionContext): Promise<Peer[]> {
  const wanted = PEERS.filter((peer) => {
    if (options.peers.length > 0) return peer === gateway || options.peers.includes(peer.name);
    return !options.quick || QUICK_PEERS.has(peer);
  });
  const ready: Peer[] = [];
  for (const peer of wanted) {
    try {
      await peer.prepare(world);
      ready.push(peer);
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      record.addGap(peer.title, error.message);
    }
  }
  return ready;
}

function nameOf(peer: Peer, carrier: Carrier): string {
  return carrier === "tcp" ? peer.title : `${peer.title} over ${carrier}`;
}

function isMissing({ record }: SectionContext, peer: Peer, carrier: Carrier): boolean {
  return record.gaps.some(({ what }) => what === nameOf(peer, carrier));
}

/** One round of one peer, in a process of its own: an idle server must not take from the one that is measured. */
async function measurePeer(context: SectionContext, peer: Peer, carrier: Carrier, shapes: readonly Shape[]) {
  const { world, material, options, record } = context;
  let running: RunningPeer | undefined;
  try {
    running = await peer.start(world, material, carrier);
    const warmUp = { connections: 8, inFlight: 16, seconds: options.warmUpSeconds };
    await running.confirm(await runH2load(running.target, warmUp, world.cores.load));
    for (const shape of shapes) await measureShape(context, shape, peer.name, running);
  } catch (error) {
    if (error instanceof CannotRun) record.addGap(nameOf(peer, carrier), reasonOf(error));
    else record.addFailure(nameOf(peer, carrier), reasonOf(error));
  } finally {
    await running?.stop();
  }
}

async function measureShape(context: SectionContext, shape: Shape, name: string, running: RunningPeer): Promise<void> {
  const { options, record } = context;
  const pressure = { ...shape, seconds: options.seconds };
  if (shape.ratePerSecond === undefined) {
    record.addRound(shape.name, name, await measureThroughput(context, pressure, running));
    return;
  }
  const logFile = join(context.world.folder, "latencies.tsv");
  const micros = await latenciesOf(running.target, pressure, context.world.cores.load, logFile);
  record.addRound(shape.name, name, { p50Micros: percentile(micros, 0.5), p99Micros: percentile(micros, 0.99) });
}

/** What a server does under load from h2load and what that costs it. */
export async function measureThroughput({ world }: SectionContext, pressure: Pressure, running: RunningPeer) {
  const before = running.usage();
  const startedAtMs = performance.now();
  const result = await runH2load(running.target, pressure, world.cores.load);
  const elapsedMs = performance.now() - startedAtMs;
  const after = running.usage();
  await running.confirm(result);
  const cpuMs = after.cpuMs - before.cpuMs;
  return {
    requestsPerSecond: result.requestsPerSecond,
    cpuMicros: (cpuMs * 1000) / result.started,
    serverBusy: cpuMs / elapsedMs,
    rssMib: after.rssBytes / 2 ** 20,
  };
}
