import type { DomainModules } from "./domain-modules.ts";
import { type Action, drawPlan, type Plan } from "./plan.ts";
import { simulate } from "./simulation.ts";

export interface Exploration {
  readonly histories: number;
  /** How often each kind of answer was given. */
  readonly counts: ReadonlyMap<string, number>;
  /** The first history that broke a promise. */
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly seed: number;
  readonly violation: string;
  readonly plan: Plan;
}

/** How many shorter histories are tried to explain a failure. */
const MOST_ATTEMPTS = 300;

/**
 * Plays the histories of `count` seeds, up to the first that breaks a promise.
 *
 * @param step from one seed to the next: `JWTS_IN_EVERY`, from a multiple of it on, for histories that all have JWTs
 */
export async function explore(
  modules: DomainModules,
  firstSeed: number,
  count: number,
  step = 1,
): Promise<Exploration> {
  const counts = new Map<string, number>();
  for (let seed = firstSeed, played = 1; played <= count; seed += step, played += 1) {
    const plan = drawPlan(seed);
    const outcome = await simulate(plan, modules);
    for (const [what, times] of outcome.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    const [violation] = outcome.violations;
    if (violation !== undefined) {
      return { histories: played, counts, failure: { seed, violation, plan } };
    }
  }
  return { histories: count, counts, failure: undefined };
}

/** The failure for people: its seed, and the history with whatever can be left out left out. */
export async function explain({ seed, violation, plan }: Failure, modules: DomainModules): Promise<string> {
  const actions = await minimize(plan, modules);
  const { violations, lines } = await simulate({ ...plan, actions }, modules, true);
  const { actions: _, ...circumstances } = plan;
  return [
    `seed ${seed}: ${violation}`,
    `circumstances: ${JSON.stringify(circumstances)}`,
    `with ${actions.length} of ${plan.actions.length} actions: ${violations[0]}`,
    ...lines,
  ].join("\n");
}

/** Leaves out ever smaller parts of the actions, as long as something is still violated. */
async function minimize(plan: Plan, modules: DomainModules): Promise<readonly Action[]> {
  let actions = plan.actions;
  let attempts = 0;
  for (let size = Math.ceil(actions.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < actions.length && attempts < MOST_ATTEMPTS; attempts += 1) {
      const fewer = [...actions.slice(0, start), ...actions.slice(start + size)];
      const { violations } = await simulate({ ...plan, actions: fewer }, modules);
      if (violations.length > 0) actions = fewer;
      else start += size;
    }
  }
  return actions;
}
