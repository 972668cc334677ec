import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { describe, expect, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { canceled, GatewayError, type Reason } from "../token/errors.ts";
import { connectErrorFrom, reasonOf, statusFrom, transportError } from "./connect-error.ts";

const SECRET = "mt_SuperSecret";

const CODES: [Reason, Code][] = [
  ["UPSTREAM_UNAVAILABLE", Code.Unavailable],
  ["UPSTREAM_BAD_RESPONSE", Code.Unavailable],
  ["REVOKED_NOT_BROADCAST", Code.Unavailable],
  ["CURSOR_NOT_REACHED", Code.Unavailable],
  ["DRAINING", Code.Unavailable],
  ["UPSTREAM_TIMEOUT", Code.DeadlineExceeded],
  ["UPSTREAM_RATE_LIMITED", Code.ResourceExhausted],
  ["UPSTREAM_QUOTA_EXCEEDED", Code.ResourceExhausted],
  ["OVERLOADED", Code.ResourceExhausted],
  ["SLOW_CONSUMER", Code.ResourceExhausted],
  ["UPSTREAM_CREDENTIAL_REJECTED", Code.Internal],
  ["INTERNAL", Code.Internal],
  ["UPSTREAM_FORBIDDEN", Code.PermissionDenied],
  ["UPSTREAM_REJECTED_REQUEST", Code.InvalidArgument],
  ["ARGUMENT_INVALID", Code.InvalidArgument],
  ["CURSOR_MALFORMED", Code.InvalidArgument],
  ["PAGE_TOKEN_INVALID", Code.InvalidArgument],
  ["UPSTREAM_NOT_FOUND", Code.NotFound],
  ["TOKEN_NOT_FOUND", Code.NotFound],
  ["UPSTREAM_CONFLICT", Code.Aborted],
  ["CREDENTIAL_MISSING", Code.FailedPrecondition],
  ["CURSOR_OF_ANOTHER_LOG", Code.FailedPrecondition],
  ["CANCELED", Code.Canceled],
];

describe("connectErrorFrom", () => {
  it.each(CODES)("says %s with its code, reason and message", (reason, code) => {
    const error = connectErrorFrom(new GatewayError(reason, "what happened"));
    expect(error.code).toBe(code);
    expect(error.rawMessage).toBe("what happened");
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "m2m-gateway", metadata: {} }]);
    expect(error.details).toHaveLength(1);
  });

  it("carries the facts there are, the delay rounded up to a millisecond", () => {
    const error = connectErrorFrom(
      new GatewayError("OVERLOADED", "busy", {
        upstreamStatus: 429,
        cursor: "e.1-0",
        retryAfterMs: 1000.2,
        violations: [{ field: "tokens[3]", description: "is empty" }],
      }),
    );
    expect(error.findDetails(ErrorInfoSchema)[0]?.metadata).toEqual({ upstream_status: "429", cursor: "e.1-0" });
    expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ seconds: 1n, nanos: 1_000_000 });
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject([
      { field: "tokens[3]", description: "is empty" },
    ]);
  });

  it("keeps what was thrown as the cause only", () => {
    const thrown = new Error(`cannot reach https://${SECRET}@x`);
    const error = connectErrorFrom(thrown);
    expect(error.cause).toBe(thrown);
    const trailers = setTrailerStatus(new Headers(), error);
    expect(JSON.stringify([...trailers]) + JSON.stringify(errorToJson(error, undefined))).not.toContain("SuperSecret");
    expect(reasonOf(error)).toBe("INTERNAL");
  });

  it.each([undefined, null, "text", 7, {}])("makes INTERNAL of a thrown %j", (thrown) => {
    expect(connectErrorFrom(thrown)).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
  });

  it.each([
    [Code.InvalidArgument, `cannot decode message: "${SECRET}"`, Code.InvalidArgument, "MALFORMED_REQUEST"],
    [
      Code.InvalidArgument,
      `protocol error: invalid grpc timeout value: ${SECRET}`,
      Code.InvalidArgument,
      "MALFORMED_REQUEST",
    ],
    [Code.Internal, `parse binary: ${SECRET}`, Code.InvalidArgument, "MALFORMED_REQUEST"],
    [Code.Internal, "decompression failed", Code.InvalidArgument, "MALFORMED_REQUEST"],
    [Code.Internal, "received compressed envelope, but do not know", Code.Internal, "MALFORMED_REQUEST"],
    [Code.Internal, `serialize binary: ${SECRET}`, Code.Internal, "INTERNAL"],
    [Code.ResourceExhausted, "message size 9 is larger than", Code.ResourceExhausted, "MESSAGE_TOO_LARGE"],
    [Code.DeadlineExceeded, "the operation timed out", Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
    [Code.Canceled, "http/2 stream closed", Code.Canceled, "CANCELED"],
    [Code.Unimplemented, `unknown compression "${SECRET}"`, Code.Unimplemented, "UNIMPLEMENTED"],
    [Code.Unknown, SECRET, Code.Unknown, "INTERNAL"],
  ])("replaces the framework's text: %s, %s", (code, text, expectedCode, reason) => {
    const error = connectErrorFrom(new ConnectError(text, code));
    expect(error.code).toBe(expectedCode);
    expect(reasonOf(error)).toBe(reason);
    expect(error.message).not.toContain("SuperSecret");
  });

  it("leaves an error alone that has been through it", () => {
    const error = transportError(Code.NotFound, "SERVICE_UNKNOWN", "no such service");
    expect(connectErrorFrom(error)).toBe(error);
  });

  it.each([canceled(), new DOMException("", "AbortError"), new ConnectError("", Code.Canceled)])(
    "says why a call was stopped, not that it was: %s",
    (thrown) => {
      const deadline = AbortSignal.abort(new ConnectError("timed out", Code.DeadlineExceeded));
      expect(reasonOf(connectErrorFrom(thrown, deadline))).toBe("DEADLINE_EXCEEDED");
      const left = AbortSignal.abort();
      expect(reasonOf(connectErrorFrom(thrown, left))).toBe("CANCELED");
    },
  );

  it("keeps a failure's own reason though the call is over too", () => {
    const deadline = AbortSignal.abort(new ConnectError("timed out", Code.DeadlineExceeded));
    expect(reasonOf(connectErrorFrom(new GatewayError("SLOW_CONSUMER", ""), deadline))).toBe("SLOW_CONSUMER");
  });

  it("fits the 8 KiB of metadata that clients accept, and into headers, whatever the facts hold", () => {
    const long = "\ud800é".repeat(5000);
    const violations = Array.from({ length: 1000 }, () => ({ field: "x".repeat(5000), description: "y".repeat(5000) }));
    const error = connectErrorFrom(
      new GatewayError("ARGUMENT_INVALID", long, {
        upstreamCode: long,
        clerkTraceId: long,
        cursor: long,
        violations,
      }),
    );
    const trailers = setTrailerStatus(new Headers(), error);
    let size = 0;
    for (const [name, value] of trailers) size += name.length + value.length + 32;
    expect(size).toBeLessThan(8192);
  });
});

describe("statusFrom", () => {
  it("is the same error as a message", () => {
    const status = statusFrom(new GatewayError("OVERLOADED", "busy", { retryAfterMs: 2000 }));
    expect(status).toMatchObject({ code: Code.ResourceExhausted, message: "busy" });
    const [info, retry] = status.details;
    expect(info && anyUnpack(info, ErrorInfoSchema)).toMatchObject({ reason: "OVERLOADED" });
    expect(retry && anyUnpack(retry, RetryInfoSchema)).toMatchObject({ retryDelay: { seconds: 2n } });
  });
});
