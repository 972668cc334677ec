import type { ConnectError } from "@connectrpc/connect";
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
  /** The caller's `x-request-id`, or one made here. */
  readonly requestId: string;
}

export type OnAudit = (record: AuditRecord) => void;

type Known = Omit<AuditRecord, "code" | "reason" | "tokenId" | "subject" | "keyId">;

/** The record of one call while the call is under way. It is told once. */
export class AuditDraft {
  readonly #onAudit: OnAudit;
  readonly #known: () => Known;
  #isTold = false;
  tokenId: string | undefined;
  subject: string | undefined;
  keyId: string | undefined;
  /** Work that goes on whatever becomes of the call: what it comes to is what is told. */
  work: Promise<unknown> | undefined;
  /** Whether the call has reached its handler, which then tells how it ends. */
  isHandled = false;

  /** @param known asked when the record is told */
  constructor(onAudit: OnAudit, known: () => Known) {
    this.#onAudit = onAudit;
    this.#known = known;
  }

  end(error: ConnectError | undefined): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#onAudit({
      ...this.#known(),
      code: RpcCode[error?.code ?? RpcCode.OK] ?? "UNKNOWN",
      reason: error === undefined ? undefined : (reasonOf(error) ?? "INTERNAL"),
      tokenId: this.tokenId,
      subject: this.subject,
      keyId: this.keyId,
    });
  }
}
