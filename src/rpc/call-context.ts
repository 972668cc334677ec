import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import type { Caller } from "../callers/caller.ts";
import { GatewayError } from "../token/errors.ts";
import type { AuditDraft, SubjectRevocation } from "./audit.ts";
import type { CallOutcome } from "./call-report.ts";
import type { CallServices } from "./own-key.ts";
import type { UnderWay } from "./under-way.ts";

/** What one call carries through the RPC framework. */
export interface CallContext {
  /** Aborted when the server begins to drain. Never, for unary calls: they are given the time to finish. */
  readonly drain: AbortSignal;
  /** Whose call it is; `undefined` where that makes no difference. */
  readonly caller: Caller | undefined;
  /** What decides it in place of what decides for all, where its caller brings a key of its own. */
  readonly services: CallServices | undefined;
  /** What the audit log will say of it, where it says anything. */
  readonly audit: AuditDraft | undefined;
  /** What the server waits for before it ends. */
  readonly underWay: UnderWay;
  /** What was thrown, before it was made presentable. `undefined` until the call fails. */
  thrown: unknown;
  /** What a verification decided, once it has. */
  outcome?: CallOutcome;
}

const KEY = createContextKey<CallContext | undefined>(undefined, { description: "call" });

export function contextValuesOf(context: CallContext): ContextValues {
  return createContextValues().set(KEY, context);
}

/**
 * The signal by which a stream learns that the gateway is going away and that it should end itself, with reason
 * DRAINING. Distinct from the handler's own `signal`, which says that nobody listens any more.
 */
export function drainOf(values: ContextValues): AbortSignal {
  return values.get(KEY)?.drain ?? AbortSignal.any([]);
}

/** Whose call it is; `undefined` where that makes no difference. */
export function callerOf(values: ContextValues): Caller | undefined {
  return values.get(KEY)?.caller;
}

/** What decides a call: its caller's own, or what decides for all. */
export function servicesOf<S extends Partial<CallServices>>(values: ContextValues, common: S): S {
  const own = values.get(KEY)?.services;
  return own === undefined ? common : { ...common, ...own };
}

export function auditOf(values: ContextValues): AuditDraft | undefined {
  return values.get(KEY)?.audit;
}

/**
 * Notes what goes on to its end whatever becomes of the call: it is waited for, and the audit log tells what comes of it.
 *
 * @param work resolves with what the caller would be answered
 */
export function noteWork(values: ContextValues, work: Promise<unknown>): void {
  const call = values.get(KEY);
  call?.underWay.add(work);
  if (call?.audit !== undefined) call.audit.work = work;
}

/** Notes how far the revocation of a machine's tokens has come, for the audit log. */
export function noteSubjectRevocation(values: ContextValues, revocation: SubjectRevocation): void {
  const audit = values.get(KEY)?.audit;
  if (audit !== undefined) audit.subjectRevocation = revocation;
}

/** What ends a stream when the gateway goes away. */
export function drainingError(): GatewayError {
  return new GatewayError("DRAINING", "the gateway is shutting down");
}

export function noteThrown(values: ContextValues, thrown: unknown): void {
  const context = values.get(KEY);
  if (context !== undefined) context.thrown = thrown;
}

export function noteOutcome(values: ContextValues, outcome: CallOutcome): void {
  const context = values.get(KEY);
  if (context !== undefined) context.outcome = outcome;
}
