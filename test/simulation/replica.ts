import { Digester } from "../../src/token/digest.ts";
import type { JwtRules } from "../../src/token/jwt.ts";
import { FixedKey } from "../../src/token/signing-keys.ts";
import { RULES } from "../support/jwts.ts";
import { REPORTS } from "../support/tokens.ts";
import type { DomainModules } from "./domain-modules.ts";
import { BOUND_MS, type Plan, UPSTREAM_TIMEOUT_MS } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import { JWT_KEY } from "./sim-jwts.ts";
import { SimLane } from "./sim-lane.ts";
import { type Cuts, SimLink } from "./sim-link.ts";
import { SimLog } from "./sim-log.ts";
import { SimProcess } from "./sim-process.ts";
import type { SimRedis } from "./sim-redis.ts";
import { SimStore } from "./sim-store.ts";
import { type SimTruth, SimUpstream } from "./sim-upstream.ts";

const JWT_KEYS = new FixedKey(JWT_KEY.publicKey);
const JWT_RULES: JwtRules = { ...RULES, grant: "required", machineId: REPORTS };
const DIGEST_PREFIX = Buffer.alloc(32);
/** Long enough that a fact which is lost is missed before it could have been forgotten. */
const SLACK_MS = 20_000;
const RETENTION_MS = 60_000;
const LONGEST_JWT_MS = 3_600_000;
const MIN_CURSOR_TIMEOUT_MS = 3_000;
/** Of several known tokens all but one are packed. */
const MAX_OBJECTS = 1;

export interface World {
  readonly plan: Plan;
  readonly modules: DomainModules;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly redis: SimRedis;
  readonly truth: SimTruth;
}

/** How long a fact is held at least. */
export function minHoldMs({ ttlMs }: Plan): number {
  return ttlMs + UPSTREAM_TIMEOUT_MS + SLACK_MS;
}

/** The domain of one process, composed as the gateway composes it. A restart makes another. */
export function startReplica(world: World, name: string, cuts: Cuts, wallSkewMs: number, onRestart: () => void) {
  const { plan, modules, scheduler, random, redis, truth } = world;
  const process = new SimProcess(scheduler, random, wallSkewMs);
  const link = new SimLink({ scheduler, random, plan, redis, process, cuts });
  const log = new SimLog(name, link, redis, process);
  const upstream = new SimUpstream(truth, process, modules);
  const clock = process;
  const revocations = new modules.Revocations({ clock, minHoldMs: minHoldMs(plan) });
  const recorder = new modules.Recorder({
    log,
    revocations,
    clock,
    origin: name,
    retentionMs: RETENTION_MS,
    longestJwtMs: LONGEST_JWT_MS,
    minHoldMs: minHoldMs(plan),
    appendTimeoutMs: 500,
    onAppendError: () => undefined,
  });
  const feed = new modules.RevocationFeed({
    log,
    revocations,
    clock,
    boundMs: BOUND_MS,
    onReadError: () => undefined,
    onRestart: () => {
      cache.invalidate({ all: true });
      recorder.recordMissing();
      onRestart();
    },
  });
  const { ttlMs, refusalTtlMs } = plan;
  const limits = { maxKnown: 100, maxKnownBytes: 1_000_000, maxRefused: 100, maxObjects: MAX_OBJECTS };
  const cache = new modules.VerdictCache({ clock, ttlMs, refusalTtlMs, ...limits });
  const store = plan.hasStore ? new SimStore(link, redis, process, ttlMs, plan.storeBudgetMs) : undefined;
  const budget = new modules.Budget({ clock, perSecond: 10, perDay: 1_000 });
  const revalidator = new modules.Revalidator({ store, recorder, revocations, clock, budget, ttlMs });
  const verifier = new modules.Verifier({
    upstream,
    store,
    cache,
    revocations,
    feed,
    recorder,
    revalidator,
    clock,
    digester: new Digester(upstream.verifyScope, DIGEST_PREFIX),
    jwts: new modules.JwtVerifier({ keys: JWT_KEYS, rules: JWT_RULES, cache, revocations, clock }),
    minCursorTimeoutMs: MIN_CURSOR_TIMEOUT_MS,
  });
  const publisher = new modules.Publisher({ recorder, log, clock, boundMs: BOUND_MS });
  const revoker = new modules.Revoker({ upstream, verifier, recorder, revocations, publisher });
  const { clockSkewMs } = JWT_RULES;
  const subjectRevoker = new modules.SubjectRevoker({ upstream, recorder, revocations, publisher, clock, clockSkewMs });
  void feed.start();
  const lane = new SimLane(verifier);
  return { name, process, revocations, recorder, feed, verifier, lane, revoker, subjectRevoker };
}

export type Replica = ReturnType<typeof startReplica>;
