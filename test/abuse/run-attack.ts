import type { Attack } from "./attack.ts";
import type { AttackerProcess } from "./attacker-process.ts";
import type { Innocent } from "./innocent.ts";
import type { Victim } from "./victim.ts";

export interface Outcome {
  readonly attack: string;
  /** Connections that the attackers opened, and that were closed on them or refused. */
  readonly opened: number;
  readonly closed: number;
  /** How long the innocent's calls took. */
  readonly latenciesMs: readonly number[];
  /** How many of them were refused. */
  readonly refused: number;
  readonly peakMiB: number;
}

export interface RunOptions {
  readonly connections: number;
  /** How long the innocent asks from when all of the attack's connections have been opened. */
  readonly durationMs: number;
  readonly atLeastCalls: number;
}

const SAMPLE_MS = 50;

/** Lets an innocent client ask beside an attack. Rejects when it is answered otherwise than from memory. */
export async function runAttack(
  attack: Attack,
  parts: { readonly victim: Victim; readonly attacker: AttackerProcess; readonly innocent: Innocent },
  { connections, durationMs, atLeastCalls }: RunOptions,
): Promise<Outcome> {
  const { victim, attacker, innocent } = parts;
  const { target, token } = victim;
  const refusedBefore = innocent.refused;
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
    const [latenciesMs] = await Promise.all([innocent.ask(() => isReady && isOver(), atLeastCalls), begun]);
    const { opened, closed } = await attacker.end();
    return { attack: attack.name, opened, closed, latenciesMs, refused: innocent.refused - refusedBefore, peakMiB };
  } finally {
    clearInterval(sampling);
  }
}

export function after(durationMs: number): () => boolean {
  const endMs = performance.now() + durationMs;
  return () => performance.now() >= endMs;
}
