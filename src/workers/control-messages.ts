import { fieldsOf, idOf, MessageError, textOf } from "./log-messages.ts";

/** What a worker is told of itself, once it has said hello. Holds secrets. */
export interface Init {
  readonly kind: "init";
  /** As `LoadedConfig.handover` gives it. */
  readonly config: string;
  /** The name of the gateway as a whole. */
  readonly name: string;
  /** From 1. */
  readonly index: number;
  readonly count: number;
}

export type ToWorker = Init | { readonly kind: "report"; readonly id: number } | { readonly kind: "drain" };

export type WorkerState = "synced" | "degraded" | "unsynced" | "not_serving";

export type FromWorker =
  | { readonly kind: "hello" }
  | { readonly kind: "serving"; readonly url: string }
  | {
      readonly kind: "state";
      readonly state: WorkerState;
      readonly cursor: string;
      readonly stalenessMs: number | null;
    }
  | { readonly kind: "metrics"; readonly id: number; readonly text: string };

/** From the best to the worst. */
export const WORKER_STATES: readonly WorkerState[] = ["synced", "degraded", "unsynced", "not_serving"];

/** `undefined` when the message is about something else. @throws MessageError */
export function parseToWorker(message: unknown): ToWorker | undefined {
  const fields = fieldsOf(message);
  switch (fields.kind) {
    case "init":
      return {
        kind: "init",
        config: textOf(fields, "config"),
        name: textOf(fields, "name"),
        index: idOf({ id: fields.index }),
        count: idOf({ id: fields.count }),
      };
    case "report":
      return { kind: "report", id: idOf(fields) };
    case "drain":
      return { kind: "drain" };
    default:
      return undefined;
  }
}

/** `undefined` when the message is about something else. @throws MessageError */
export function parseFromWorker(message: unknown): FromWorker | undefined {
  const fields = fieldsOf(message);
  switch (fields.kind) {
    case "hello":
      return { kind: "hello" };
    case "serving":
      return { kind: "serving", url: textOf(fields, "url") };
    case "state": {
      const { stalenessMs } = fields;
      const state = WORKER_STATES.find((known) => known === fields.state);
      if (state === undefined) throw new MessageError("state is none that is known");
      if (stalenessMs !== null && typeof stalenessMs !== "number")
        throw new MessageError("stalenessMs is not a number");
      return { kind: "state", state, cursor: textOf(fields, "cursor"), stalenessMs };
    }
    case "metrics":
      return { kind: "metrics", id: idOf(fields), text: textOf(fields, "text") };
    default:
      return undefined;
  }
}
