import type { Attack } from "./attack.ts";
import type { AttackerProcess } from "./attacker-process.ts";
import type { Innocent } from "./innocent.ts";
import type { Victim } from "./victim.ts";

export interface Outcome {
  readonly attack: string;
  /** Connections that the attackers opened, and that were closed on them or refused. */
  readonly opened: number;
  readonly closed: number;
  /** The innocent's latencies. */
  readonly idleMs: readonly number[];
  readonly underAttackMs: readonly number[];
  readonly peakMiB: number;
}

export interface RunOptions {
  readonly connections: number;
  /** How long the innocent asks, before and from when all of the attack's connections have been opened. */
  readonly durationMs: number;
  readonly atLeastCalls: number;
}

const SAMPLE_MS = 50;

/** Lets an innocent client ask, first in peace and then beside an attack. Rejects when it is not answered from memory. */
export async function runAttack(
  attack: Attack,
  parts: { readonly victim: Victim; readonly attacker: AttackerProcess; readonly innocent: Innocent },
  { connections, durationMs, atLeastCalls }: RunOptions,
): Promise<Outcome> {
  const { victim, attacker, innocent } = parts;
  const { target, token } = victim;
  const idleMs = await innocent.ask(after(durationMs), atLeastCalls);
  let peakMiB = victim.residentMiB;
  const sampling = setInterval(() => {
    peakMiB = Math.max(peakMiB, victim.residentMiB);
  }, SAMPLE_MS);
  let isReady = false;
  let isOver = () => false;
  const begun = attacker.begin({ attack: attack.name, connections, target, knowledge: { token } }).then(() => {
    isReady = true;
    isOver = after(durationMs);
  });
  try {
    const [underAttackMs] = await Promise.all([innocent.ask(() => isReady && isOver(), atLeastCalls), begun]);
    const { opened, closed } = await attacker.end();
    return { attack: attack.name, opened, closed, idleMs, underAttackMs, peakMiB };
  } finally {
    clearInterval(sampling);
  }
}

function after(durationMs: number): () => boolean {
  const endMs = performance.now() + durationMs;
  return () => performance.now() >= endMs;
}
