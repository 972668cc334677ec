import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { EXIT } from "./exit-code.ts";
import { plainText } from "./plain-text.ts";
import { hintOf } from "./reason-hint.ts";
import { spanText } from "./text-layout.ts";

/** A failed call in the user's words. All text is safe to print. */
export interface CallErrorReport {
  readonly what: string;
  /** The RPC code and, where the gateway gave one, the reason. */
  readonly codes: string;
  /** Field violations, when to retry, and what the gateway adds. */
  readonly details: readonly string[];
  readonly hint: string | undefined;
  readonly exitCode: number;
}

export function reportCallError(error: ConnectError, url: string, invocation: string): CallErrorReport {
  const errno = unreachableCode(error);
  if (errno !== undefined) {
    return {
      what: `cannot reach a gateway at ${plainText(url)}`,
      codes: `UNAVAILABLE, ${errno}`,
      details: [],
      hint: `start one with "${invocation} dev", or give another address with --gateway or GATEWAY_URL`,
      exitCode: EXIT.undecided,
    };
  }
  const reason = plainText(error.findDetails(ErrorInfoSchema)[0]?.reason ?? "");
  const code = codeName(error.code);
  return {
    what: plainText(error.rawMessage) || "the call failed",
    codes: reason === "" ? code : `${code}, ${reason}`,
    details: detailsOf(error),
    hint: hintOf(reason) ?? hintOfCode(error.code),
    exitCode: error.code === Code.InvalidArgument ? EXIT.usage : EXIT.undecided,
  };
}

/** The system's code when no gateway answered at all, for example ECONNREFUSED. */
export function unreachableCode(error: ConnectError): string | undefined {
  if (error.findDetails(ErrorInfoSchema).length > 0) {
    return undefined;
  }
  let cause: unknown = error.cause;
  for (let depth = 0; depth < 8 && cause instanceof Error; depth++) {
    if ("code" in cause && typeof cause.code === "string" && /^E[A-Z0-9_]+$/.test(cause.code)) {
      return cause.code;
    }
    cause = cause.cause;
  }
  return undefined;
}

/** How long the gateway asks to wait before a repeat. */
export function retryAfterMs(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : durationMs(delay);
}

function detailsOf(error: ConnectError): string[] {
  const violations = error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations);
  const metadata = error.findDetails(ErrorInfoSchema).flatMap((detail) => Object.entries(detail.metadata));
  const delayMs = retryAfterMs(error);
  return [
    ...violations.map(({ field, description }) => plainText(`${field || "request"}: ${description}`)),
    ...metadata.sort().map(([key, value]) => plainText(`${key}: ${value}`)),
    ...(delayMs === undefined ? [] : [`retry after: ${spanText(delayMs)}`]),
  ];
}

/** As gRPC spells it: INVALID_ARGUMENT. */
function codeName(code: Code): string {
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function hintOfCode(code: Code): string | undefined {
  switch (code) {
    case Code.DeadlineExceeded:
      return "no answer in time; try again, or raise --timeout";
    case Code.Unimplemented:
      return "what answered does not know this call: is it a gateway, and of this version?";
    case Code.Unauthenticated:
    case Code.PermissionDenied:
      return "the gateway does not let this caller do that";
    case Code.InvalidArgument:
      return "correct the fields named above";
    default:
      return undefined;
  }
}
