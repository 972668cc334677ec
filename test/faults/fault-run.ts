import { FreshnessState } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { EmulatorProcess } from "./emulator-process.ts";
import { FAULT_KINDS, type FaultKind, type Stage } from "./fault-kinds.ts";
import { Follower } from "./follower.ts";
import { GatewayProcess } from "./gateway-process.ts";
import { Ledger, type Violation } from "./ledger.ts";
import { Load } from "./load.ts";
import { RedisPair } from "./redis-pair.ts";
import { HEALTHY, type Row, Spells } from "./spells.ts";
import { TcpProxy } from "./tcp-proxy.ts";

export interface FaultRunOptions {
  /** How long to go on striking. The run takes some seconds more: it starts, and ends healthy. */
  readonly seconds: number;
  /** How long a fault lasts. */
  readonly faultMs: number;
  /** How long nothing is broken in between, all gateways being synced. */
  readonly healthyMs: number;
  readonly boundMs: number;
  /** Aborted to end early; the run then rejects. */
  readonly signal: AbortSignal;
  /** Told before each fault. */
  readonly onProgress?: (what: string) => void;
}

export interface FaultReport {
  readonly bound_ms: number;
  readonly worst_staleness_ms: number;
  readonly valid_after_bound: number;
  readonly valid_after_fleet: number;
  readonly valid_after_own_acknowledgement: number;
  readonly watcher_mismatches: number;
  /** Verifications without a verdict from gateways that were up. The upstream was up all the time. */
  readonly undecided: number;
  readonly undecided_by_code: Readonly<Record<string, number>>;
  readonly verifies: number;
  readonly revocations: number;
  /** How often each was struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** The cap of all gateways together. */
  readonly upstream_cap_per_s: number;
  readonly rows: readonly Row[];
  readonly violations: readonly Violation[];
  readonly mismatches: readonly string[];
}

const REPLICAS = ["g1", "g2", "g3"];
const VERDICT_TTL_MS = 20_000;
const UPSTREAM_CAP_PER_S = 400;
const LOOK_EVERY_MS = 20;
const HEAL_TIMEOUT_MS = 30_000;
const AGREE_TIMEOUT_MS = 10_000;

/** Figures that must be 0. */
export function brokenPromises(report: FaultReport): string[] {
  const { valid_after_bound, valid_after_fleet, valid_after_own_acknowledgement, watcher_mismatches } = report;
  const zeros = { valid_after_bound, valid_after_fleet, valid_after_own_acknowledgement, watcher_mismatches };
  return Object.entries({ ...zeros, undecided: report.undecided })
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `${name}: ${count}`);
}

/** Strikes real gateways and a real Redis, in turn by every kind of fault, while clients verify, revoke and watch. */
export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const cleanUps: (() => Promise<void>)[] = [];
  const [run] = await Promise.allSettled([strikeAll(options, cleanUps)]);
  const ends: PromiseSettledResult<void>[] = [];
  // One that fails keeps none of the others from their end.
  for (const cleanUp of cleanUps.reverse()) ends.push(...(await Promise.allSettled([cleanUp()])));
  if (run.status === "rejected") throw run.reason;
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return run.value;
}

async function strikeAll(options: FaultRunOptions, cleanUps: (() => Promise<void>)[]): Promise<FaultReport> {
  const { boundMs, healthyMs, signal } = options;
  const emulator = await EmulatorProcess.start();
  cleanUps.push(() => emulator.stop());
  const stage = await setStage(options, emulator, cleanUps);
  const gateways = stage.gateways.map(({ gateway }) => gateway);
  const followers = gateways.map((gateway) => new Follower(gateway));
  cleanUps.push(async () => {
    await Promise.all(followers.map((follower) => follower.stop()));
  });
  const ledger = new Ledger(boundMs);
  const spells = new Spells();
  const load = new Load({
    emulator,
    gateways,
    ledger,
    verdictTtlMs: VERDICT_TTL_MS,
    onAnswer: (answer, gatewayWasUp) => spells.answered(answer, gatewayWasUp),
    onAcknowledged: () => spells.acknowledged(),
  });
  cleanUps.push(() => load.stop());
  await load.start();
  spells.begin(HEALTHY, await emulator.verifications());
  await lapse(healthyMs, signal);
  const faults = await Promise.race([strikeInTurn(options, stage, spells, emulator), load.failed]);
  spells.end(await emulator.verifications());
  await load.stop();
  const mismatches = await untilAgreed(followers, ledger.acknowledgedIds);
  return reportOf(boundMs, ledger, spells, faults, mismatches);
}

async function setStage(
  { boundMs }: FaultRunOptions,
  emulator: EmulatorProcess,
  cleanUps: (() => Promise<void>)[],
): Promise<Stage> {
  const redis = await RedisPair.start();
  cleanUps.push(() => redis.stop());
  const gateways: { gateway: GatewayProcess; way: TcpProxy }[] = [];
  for (const name of REPLICAS) {
    const way = await TcpProxy.start(() => redis.port);
    cleanUps.push(() => way.stop());
    const gateway = await GatewayProcess.start(name, {
      ...emulator.environment,
      GATEWAY_REDIS_URL: `redis://127.0.0.1:${way.port}`,
      GATEWAY_STALENESS_BOUND_MS: `${boundMs}`,
      GATEWAY_VERDICT_TTL_MS: `${VERDICT_TTL_MS}`,
      GATEWAY_WATCH_HEARTBEAT_MS: "500",
      CLERK_MAX_REQUESTS_PER_SECOND: `${UPSTREAM_CAP_PER_S}`,
    });
    cleanUps.push(() => gateway.stop());
    gateways.push({ gateway, way });
  }
  return { redis, gateways };
}

async function strikeInTurn(
  options: FaultRunOptions,
  stage: Stage,
  spells: Spells,
  emulator: EmulatorProcess,
): Promise<Record<string, number>> {
  const faults: Record<string, number> = {};
  const endAtMs = performance.now() + options.seconds * 1_000;
  for (let strikes = 0; strikes === 0 || performance.now() < endAtMs; strikes += 1) {
    const kind = FAULT_KINDS[strikes % FAULT_KINDS.length] as FaultKind;
    options.onProgress?.(kind.name);
    spells.begin(kind.name, await emulator.verifications());
    await kind.strike(stage, () => lapse(options.faultMs, options.signal), strikes);
    const mendedAtMs = performance.now();
    await untilSynced(stage, options.signal);
    spells.synced(performance.now() - mendedAtMs);
    faults[kind.name] = (faults[kind.name] ?? 0) + 1;
    spells.begin(HEALTHY, await emulator.verifications());
    await lapse(options.healthyMs, options.signal);
  }
  return faults;
}

/** @throws Error when a gateway does not get there */
async function untilSynced({ gateways }: Stage, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + HEAL_TIMEOUT_MS;
  for (const { gateway } of gateways) {
    while (!(await isSynced(gateway))) {
      if (performance.now() > deadlineMs) throw new Error(`${gateway.name} does not become SYNCED`);
      await lapse(LOOK_EVERY_MS, signal);
    }
  }
}

async function isSynced(gateway: GatewayProcess): Promise<boolean> {
  try {
    const { freshness } = await gateway.status.getStatus({}, { timeoutMs: 1_000 });
    return freshness?.state === FreshnessState.SYNCED;
  } catch {
    return false;
  }
}

/** Watchers are told within moments; what is still missing then is missing. */
async function untilAgreed(followers: readonly Follower[], acknowledged: ReadonlySet<string>): Promise<string[]> {
  const deadlineMs = performance.now() + AGREE_TIMEOUT_MS;
  for (;;) {
    const found = await Promise.all(
      followers.map(async (follower) => {
        const mismatches = await follower.mismatches(acknowledged);
        return mismatches.map((mismatch) => `watcher of ${follower.gateway.name}: ${mismatch}`);
      }),
    );
    if (found.flat().length === 0 || performance.now() > deadlineMs) return found.flat();
    await lapse(LOOK_EVERY_MS, undefined);
  }
}

function reportOf(
  boundMs: number,
  ledger: Ledger,
  spells: Spells,
  faults: Readonly<Record<string, number>>,
  mismatches: readonly string[],
): FaultReport {
  const rows = spells.rows(ledger.stale);
  const sum = (pick: (row: Row) => number) => rows.reduce((total, row) => total + pick(row), 0);
  return {
    bound_ms: boundMs,
    worst_staleness_ms: Math.round(ledger.worstStalenessMs),
    valid_after_bound: ledger.count("after bound"),
    valid_after_fleet: ledger.count("after fleet"),
    valid_after_own_acknowledgement: ledger.count("after own acknowledgement"),
    watcher_mismatches: mismatches.length,
    undecided: sum(({ errors }) => errors),
    undecided_by_code: spells.errors(),
    verifies: sum(({ verifies }) => verifies),
    revocations: ledger.acknowledgedIds.size,
    faults,
    upstream_cap_per_s: UPSTREAM_CAP_PER_S * REPLICAS.length,
    rows,
    violations: ledger.violations,
    mismatches,
  };
}

async function lapse(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise((resolve) => setTimeout(resolve, ms));
  signal?.throwIfAborted();
}
