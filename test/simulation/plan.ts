import { Random } from "./random.ts";

/** The staleness bound B of every history. */
export const BOUND_MS = 1_000;
export const UPSTREAM_TIMEOUT_MS = 3_000;

/** What a history is made of, drawn from its seed before it begins: a part of the actions can be played again alone. */
export interface Plan {
  readonly seed: number;
  readonly replicas: number;
  readonly tokens: number;
  readonly durationMs: number;
  readonly ttlMs: number;
  readonly refusalTtlMs: number;
  readonly hasStore: boolean;
  readonly storeBudgetMs: number;
  /** One way between a replica and Redis: the shortest, and the longest. */
  readonly networkMs: readonly [number, number];
  readonly requestLoss: number;
  readonly pushLoss: number;
  readonly maxReplicationMs: number;
  readonly upstreamMs: readonly [number, number];
  readonly upstreamFailures: number;
  /** For so long after a revoke the upstream may still call the token good. */
  readonly upstreamLagMs: number;
  /** How the upstream speaks of a revoked token. */
  readonly revokedAs: "flag" | "refusal";
  /** By replica: how wrong its wall clock is. */
  readonly wallSkewsMs: readonly number[];
  /** By token: when it expires, virtual time. */
  readonly expiresAtMs: readonly (number | undefined)[];
  readonly actions: readonly Action[];
}

/** Something that a client or the world does. */
export type Deed =
  | {
      readonly kind: "verify";
      readonly replica: number;
      readonly token: number;
      readonly maxAgeMs: number;
      readonly cancelAfterMs: number | undefined;
    }
  | {
      readonly kind: "revoke";
      readonly replica: number;
      readonly token: number;
      readonly wait: "replica" | "fleet";
      readonly bySecret: boolean;
      readonly cancelAfterMs: number | undefined;
    }
  | { readonly kind: "revoke elsewhere"; readonly token: number }
  | { readonly kind: "invalidate"; readonly replica: number; readonly token: number | undefined }
  | {
      readonly kind: "cut";
      readonly replica: number;
      readonly commands: boolean;
      readonly pushes: boolean;
      readonly forMs: number;
    }
  | { readonly kind: "pause"; readonly replica: number; readonly forMs: number }
  | { readonly kind: "restart"; readonly replica: number }
  | { readonly kind: "jump wall"; readonly replica: number; readonly byMs: number }
  | { readonly kind: "fail over" | "restart redis empty"; readonly forMs: number }
  | { readonly kind: "flush redis" }
  | { readonly kind: "pause redis"; readonly forMs: number }
  | { readonly kind: "upstream away"; readonly forMs: number }
  | { readonly kind: "reconnect watcher"; readonly watcher: number };

export type Action = Deed & { readonly atMs: number };

export function drawPlan(seed: number): Plan {
  const random = new Random(seed);
  const replicas = random.pick([2, 2, 2, 2, 3, 3, 4, 5, 7]);
  // Many revocations in a row: some pushes arrive, others do not.
  const isStorm = random.chance(0.15);
  const tokens = isStorm ? 6 : random.pick([1, 1, 2, 3]);
  // The first replica loses the log for the rest of the history, while the upstream is slow.
  const isIsolated = !isStorm && random.chance(0.15);
  const durationMs = random.chance(0.005) ? 45_000 : random.between(2_500, 6_500);
  const isSkewed = random.chance(0.15);
  const skewMs = () => (isSkewed && random.chance(0.5) ? random.between(-200_000, 200_000) : random.between(-200, 200));
  const shape = { replicas, tokens, durationMs, isSkewed, isStorm, isIsolated };
  return {
    seed,
    replicas,
    tokens,
    durationMs,
    ttlMs: random.between(2_000, 8_000),
    refusalTtlMs: random.between(200, 2_000),
    hasStore: random.chance(0.8),
    storeBudgetMs: random.pick([5, 5, 50, 400]),
    networkMs:
      isIsolated && random.chance(0.5)
        ? [1, 900]
        : random.pick([
            [0.1, 3],
            [0.1, 20],
            [1, 150],
            [1, 900],
          ]),
    requestLoss: random.pick([0, 0, 0, 0.1]),
    pushLoss: isStorm ? 0.5 : random.pick([0, 0.3, 1]),
    maxReplicationMs: random.pick([5, 100, 2_000]),
    upstreamMs: isIsolated
      ? [50, 2_500]
      : random.pick([
          [2, 30],
          [10, 500],
          [50, 3_500],
        ]),
    upstreamFailures: random.pick([0, 0, 0.15]),
    upstreamLagMs: random.chance(0.2) ? random.between(100, 2_000) : 0,
    revokedAs: random.pick(["flag", "refusal"]),
    wallSkewsMs: Array.from({ length: replicas }, skewMs),
    expiresAtMs: Array.from({ length: tokens }, () =>
      random.chance(0.2) ? random.between(1_000, durationMs) : undefined,
    ),
    actions: drawActions(random, shape),
  };
}

interface Shape {
  readonly replicas: number;
  readonly tokens: number;
  readonly durationMs: number;
  readonly isSkewed: boolean;
  readonly isStorm: boolean;
  readonly isIsolated: boolean;
}

function drawActions(random: Random, shape: Shape): Action[] {
  const actions: Action[] = [];
  const revokes = shape.isStorm ? 10 : 1 + random.below(3);
  const anchors: number[] = [];
  for (let count = 0; count < revokes; count += 1) {
    const atMs = random.between(400, shape.durationMs * 0.8);
    anchors.push(atMs);
    actions.push({ atMs, ...drawRevoke(random, shape) });
  }
  for (let count = random.below(6); count > 0; count -= 1) {
    // Half of what goes wrong goes wrong near a revoke: that is where it can do harm.
    const nearMs = random.pick([1_500, 60]);
    const anchorMs = anchors[random.below(anchors.length)] ?? 0;
    const atMs = random.chance(0.5) ? anchorMs + random.between(-nearMs, nearMs) : random.between(0, shape.durationMs);
    actions.push({ atMs: Math.max(0, atMs), ...drawFault(random, shape) });
  }
  if (shape.isStorm) {
    const replica = random.below(shape.replicas);
    const atMs = shape.durationMs * random.between(0.1, 0.4);
    actions.push({ kind: "cut", atMs, replica, commands: true, pushes: false, forMs: random.between(1_500, 4_000) });
  }
  if (shape.isIsolated) {
    const atMs = (anchors[0] ?? 0) + (random.chance(0.5) ? random.between(-2_500, 200) : random.between(-100, 400));
    actions.push({ kind: "cut", atMs: Math.max(0, atMs), replica: 0, commands: true, pushes: true, forMs: 10_000 });
  }
  const everyMs = 1_000 / random.between(4, 20);
  for (let atMs = 0; atMs < shape.durationMs; atMs += random.between(0, 2 * everyMs)) {
    actions.push({ atMs, ...drawVerify(random, shape) });
  }
  return actions.sort((a, b) => a.atMs - b.atMs);
}

function drawRevoke(random: Random, { replicas, tokens, isIsolated }: Shape): Deed {
  return {
    kind: "revoke",
    replica: isIsolated ? 1 + random.below(replicas - 1) : random.below(replicas),
    token: random.below(tokens),
    wait: isIsolated ? "fleet" : random.pick(["replica", "fleet"]),
    bySecret: random.chance(0.2),
    cancelAfterMs: random.chance(0.1) ? random.between(0, 200) : undefined,
  };
}

function drawVerify(random: Random, { replicas, tokens, isIsolated }: Shape): Deed {
  return {
    kind: "verify",
    replica: isIsolated && random.chance(0.6) ? 0 : random.below(replicas),
    token: random.below(tokens),
    maxAgeMs: random.chance(0.85) ? Number.POSITIVE_INFINITY : random.pick([0, 100, 1_500]),
    cancelAfterMs: random.chance(0.05) ? random.between(0, 100) : undefined,
  };
}

function drawFault(random: Random, { replicas, tokens, isSkewed }: Shape): Deed {
  const replica = random.below(replicas);
  const forMs = random.pick([random.between(1, 300), random.between(300, 4_000)]);
  const commands = random.chance(0.9);
  const choices: [Deed, ...Deed[]] = [
    { kind: "cut", replica, commands, pushes: !commands || random.chance(0.5), forMs },
    { kind: "cut", replica, commands: true, pushes: random.chance(0.7), forMs: forMs + 1_000 },
    { kind: "pause", replica, forMs },
    { kind: "restart", replica },
    { kind: "fail over", forMs },
    { kind: "fail over", forMs },
    { kind: "restart redis empty", forMs },
    { kind: "flush redis" },
    { kind: "pause redis", forMs },
    { kind: "upstream away", forMs },
    { kind: "invalidate", replica, token: random.chance(0.5) ? random.below(tokens) : undefined },
    { kind: "revoke elsewhere", token: random.below(tokens) },
    { kind: "reconnect watcher", watcher: random.below(2) },
  ];
  if (isSkewed) choices.push({ kind: "jump wall", replica, byMs: random.between(-200_000, 200_000) });
  return random.pick(choices);
}
