import { Code, type ConnectError } from "@connectrpc/connect";
import { Code as RpcCode } from "../gen/google/rpc/code_pb.ts";
import { reasonOf } from "./connect-error.ts";
import type { Protocol } from "./protocol.ts";

/** What one call of an audited RPC came to. Holds no secret. */
export interface AuditRecord {
  /** From the callers' file; `undefined` for somebody who is not known. */
  readonly caller: string | undefined;
  /** Where the call came from; empty for a Unix socket. */
  readonly address: string;
  readonly service: string;
  readonly method: string;
  readonly protocol: Protocol;
  /** Name of the gRPC code: `OK`, `PERMISSION_DENIED`, … */
  readonly code: string;
  /** The stable reason; `undefined` when the call succeeded. */
  readonly reason: string | undefined;
  /** As the upstream names the token, or as the caller did; `undefined` where neither has. */
  readonly tokenId: string | undefined;
  /** The machine; `undefined` where it is not known. */
  readonly subject: string | undefined;
  /** The signing key that was revoked; `undefined` where the call is about something else. */
  readonly keyId: string | undefined;
  /** How far the revocation of a machine's tokens came; `undefined` for other calls, and where it came to nothing. */
  readonly subjectRevocation: SubjectRevocation | undefined;
  /** Whether the caller had left, or its deadline had passed, before the call came to its end: it was not told of it. */
  readonly callerLeft: boolean;
  /** The caller's `x-request-id`, or one made here. */
  readonly requestId: string;
}

/** How far the revocation of what a machine minted came. */
export interface SubjectRevocation {
  /** All that was minted before is refused. Milliseconds since the epoch. */
  readonly issuedBeforeMs: number;
  /** Tokens that the upstream revoked. */
  readonly revoked: number;
  /** Why it did not revoke them all; `undefined` when it did, or when the call ended before that was known. */
  readonly incompleteReason: string | undefined;
}

export type OnAudit = (record: AuditRecord) => void;

/** What the call is about. */
type Subject = Pick<AuditRecord, "tokenId" | "subject" | "keyId" | "subjectRevocation">;
type Known = Omit<AuditRecord, "code" | "reason" | "callerLeft" | keyof Subject>;

/** The record of one call while the call is under way. It is told once. */
export class AuditDraft {
  readonly #onAudit: OnAudit;
  readonly #known: () => Known;
  #isTold = false;
  tokenId: string | undefined;
  subject: string | undefined;
  keyId: string | undefined;
  subjectRevocation: SubjectRevocation | undefined;
  /** Work that goes on whatever becomes of the call: what it comes to is what is told. Resolves with the answer. */
  work: Promise<unknown> | undefined;
  /** Whether the call has reached its handler, which then tells how it ends. */
  isHandled = false;

  /** @param known asked when the record is told */
  constructor(onAudit: OnAudit, known: () => Known) {
    this.#onAudit = onAudit;
    this.#known = known;
  }

  end(error: ConnectError | undefined, callerLeft = false): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#onAudit({
      ...this.#known(),
      code: RpcCode[error?.code ?? RpcCode.OK] ?? "UNKNOWN",
      reason: error === undefined ? undefined : (reasonOf(error) ?? "INTERNAL"),
      tokenId: this.tokenId,
      subject: this.subject,
      keyId: this.keyId,
      subjectRevocation: this.subjectRevocation,
      callerLeft: callerLeft || error?.code === Code.Canceled,
    });
  }
}
