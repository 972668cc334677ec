import { DurationCounts } from "../token/duration-counts.ts";
import type { Reason } from "../token/errors.ts";
import type { Operation } from "./operation.ts";

/** `OK` when the upstream answered, for or against what was asked; else why the call failed. */
export type Outcome = "OK" | Reason;

export interface OutcomeCount {
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly count: number;
}

/** Calls that have ended, waiting and repeats included, by how they ended and how long they took. */
export class CallCounts {
  readonly durations: Readonly<Record<Operation, DurationCounts>> = {
    create: new DurationCounts(),
    keys: new DurationCounts(),
    list: new DurationCounts(),
    revoke: new DurationCounts(),
    verify: new DurationCounts(),
  };
  readonly #outcomes: Readonly<Record<Operation, Map<Outcome, number>>> = {
    create: fromZero(),
    keys: fromZero(),
    list: fromZero(),
    revoke: fromZero(),
    verify: fromZero(),
  };

  ended(operation: Operation, outcome: Outcome, durationMs: number): void {
    const outcomes = this.#outcomes[operation];
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    this.durations[operation].add(durationMs);
  }

  /** Those that occurred, and those of which the first is worth an alert: a count that is born at 1 has not increased. */
  rows(): OutcomeCount[] {
    return (["create", "keys", "list", "revoke", "verify"] as const).flatMap((operation) =>
      [...this.#outcomes[operation]].map(([outcome, count]) => ({ operation, outcome, count })),
    );
  }
}

function fromZero(): Map<Outcome, number> {
  return new Map([
    ["OK", 0],
    ["UPSTREAM_CREDENTIAL_REJECTED", 0],
  ]);
}
