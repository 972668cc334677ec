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

/** What a worker is asked to tell of itself, as text: its metrics, or the answer to GetStatus. */
export type Report = "metrics" | "status";

interface Ask {
  readonly kind: "report";
  readonly id: number;
  readonly what: Report;
}

export type ToWorker = Init | Ask | { readonly kind: "drain" };

export type WorkerState = "synced" | "degraded" | "unsynced" | "not_serving";

/** Of what a worker can decide with. */
export interface WorkerReport {
  readonly state: WorkerState;
  readonly cursor: string;
  /** `null` while it has never read the log. */
  readonly stalenessMs: number | null;
  /** The gateway's keys that the upstream rejected when this worker last asked with them. */
  readonly rejectedKeys: readonly string[];
}

export type FromWorker =
  | { readonly kind: "hello" }
  | { readonly kind: "serving"; readonly url: string }
  | { readonly kind: "state"; readonly report: WorkerReport }
  | { readonly kind: "report"; readonly id: number; readonly text: string };

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
      return { kind: "report", id: idOf(fields), what: fields.what === "status" ? "status" : "metrics" };
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
    case "state":
      return { kind: "state", report: reportFrom(fieldsOf(fields.report)) };
    case "report":
      return { kind: "report", id: idOf(fields), text: textOf(fields, "text") };
    default:
      return undefined;
  }
}

function reportFrom(fields: ReturnType<typeof fieldsOf>): WorkerReport {
  const { stalenessMs, rejectedKeys } = fields;
  const state = WORKER_STATES.find((known) => known === fields.state);
  if (state === undefined) throw new MessageError("state is none that is known");
  if (stalenessMs !== null && typeof stalenessMs !== "number") throw new MessageError("stalenessMs is not a number");
  if (!isTexts(rejectedKeys)) throw new MessageError("rejectedKeys is not a list of texts");
  return { state, cursor: textOf(fields, "cursor"), stalenessMs, rejectedKeys };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
