import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import {
  envelope,
  eventually,
  failureOf,
  grpcClient,
  grpcPost,
  post,
  rawHttp2,
  startFakeGateway,
  VERIFY,
  verifyRequestBytes,
} from "./fake-gateway.ts";

describe("a deadline", () => {
  const forever = () => new Promise<never>(() => {});

  it.each(["0m", "0S", "00000000H"])("of grpc-timeout %s has passed: the handler is not asked", async (timeout) => {
    let asked = 0;
    await using gateway = await startFakeGateway({
      verifyToken: async () => {
        asked += 1;
        return { verdict: Verdict.VALID };
      },
    });
    const { trailers } = await grpcPost(gateway, { "grpc-timeout": timeout }, envelope(verifyRequestBytes("mt_1")));
    expect(trailers["grpc-status"]).toBe("4");
    expect(asked).toBe(0);
    expect(gateway.reports).toMatchObject([{ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" }]);
  });

  it("of connect-timeout-ms 0 has passed", async () => {
    await using gateway = await startFakeGateway();
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`, { "connect-timeout-ms": "0" });
    expect(answer.status).toBe(504);
    expect(await answer.json()).toMatchObject({
      code: "deadline_exceeded",
      details: [{ debug: { reason: "DEADLINE_EXCEEDED" } }],
    });
  });

  it.each(["-1S", "5", "S", "1.5S", "123456789S", "", "1s"])("of grpc-timeout %j is malformed", async (timeout) => {
    await using gateway = await startFakeGateway();
    const { trailers } = await grpcPost(gateway, { "grpc-timeout": timeout }, envelope(verifyRequestBytes("mt_1")));
    expect(trailers["grpc-status"]).toBe("3");
    expect(decodeURIComponent(String(trailers["grpc-message"]))).toMatch(/^the timeout is malformed/);
  });

  it.each(["-1", "1.5", "12345678901", "soon"])("of connect-timeout-ms %j is malformed", async (timeout) => {
    await using gateway = await startFakeGateway();
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`, {
      "connect-timeout-ms": timeout,
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ details: [{ debug: { reason: "MALFORMED_REQUEST" } }] });
  });

  it("beyond what timers can hold does not pass at once", async () => {
    const verifyToken = () =>
      new Promise<{ verdict: Verdict }>((resolve) => setTimeout(resolve, 20, { verdict: Verdict.VALID }));
    await using gateway = await startFakeGateway({ verifyToken });
    const { trailers } = await grpcPost(gateway, { "grpc-timeout": "99999999H" }, envelope(verifyRequestBytes("mt_1")));
    expect(trailers["grpc-status"]).toBe("0");
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`, {
      "connect-timeout-ms": "9999999999",
    });
    expect(answer.status).toBe(200);
  });

  it("ends a call whose handler ignores it", async () => {
    await using gateway = await startFakeGateway({ verifyToken: forever });
    const { trailers } = await grpcPost(gateway, { "grpc-timeout": "30m" }, envelope(verifyRequestBytes("mt_1")));
    expect(trailers["grpc-status"]).toBe("4");
  });

  it("ends a stream whose handler ignores it, or ends well because of it", async () => {
    for (const onDeadline of [forever, async () => undefined]) {
      await using gateway = await startFakeGateway({
        revocations: {
          async *watchRevocations(_request, { signal }) {
            yield { cursor: "e.1-0" };
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            await onDeadline();
          },
        },
      });
      const headers = {
        ":path": "/m2mgateway.v1.RevocationService/WatchRevocations",
        "content-type": "application/grpc",
        "grpc-timeout": "50m",
      };
      const { trailers } = await rawHttp2(gateway.server, headers, envelope(new Uint8Array()));
      expect(trailers["grpc-status"]).toBe("4");
      expect(gateway.reports).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]);
    }
  });

  it("ends a call whose request never arrives whole", async () => {
    await using gateway = await startFakeGateway();
    const { headers, trailers } = await grpcPost(gateway, { "grpc-timeout": "30m" }, undefined);
    expect(headers["grpc-status"] ?? trailers["grpc-status"]).toBe("4");
  });

  it("is what a handler fails with that stopped for it", async () => {
    await using gateway = await startFakeGateway({
      verifyToken: (_request, { signal }) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new DOMException("", "AbortError"))),
        ),
    });
    const { trailers } = await grpcPost(gateway, { "grpc-timeout": "30m" }, envelope(verifyRequestBytes("mt_1")));
    expect(trailers["grpc-status"]).toBe("4");
  });
});

describe("a caller that leaves", () => {
  it.each(["1.1", "2"] as const)(
    "over HTTP/%s aborts the handler's signal and is reported once, as CANCELLED",
    async (httpVersion) => {
      let aborted = false;
      let started = false;
      await using gateway = await startFakeGateway({
        verifyToken: (_request, { signal }) => {
          started = true;
          signal.addEventListener("abort", () => {
            aborted = true;
          });
          return new Promise(() => {});
        },
      });
      const transport = createConnectTransport({ baseUrl: gateway.server.url, httpVersion });
      const leave = new AbortController();
      const failure = failureOf(
        createClient(TokenService, transport).verifyToken({ token: "mt_1" }, { signal: leave.signal }),
      );
      await eventually(() => started);
      leave.abort();
      await failure;
      await eventually(() => aborted && gateway.reports.length > 0);
      await gateway.server.drain(0);
      expect(gateway.reports).toMatchObject([{ method: "VerifyToken", code: "CANCELLED", reason: "CANCELED" }]);
    },
  );

  it("ends the handler of a stream it was reading", async () => {
    let cleanedUp = false;
    await using gateway = await startFakeGateway({
      revocations: {
        async *watchRevocations(_request, { signal }) {
          try {
            yield { cursor: "e.1-0" };
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          } finally {
            cleanedUp = true;
          }
        },
      },
    });
    using client = grpcClient(gateway.server);
    const stream = client.makeServerStreamRequest(
      "/m2mgateway.v1.RevocationService/WatchRevocations",
      () => Buffer.alloc(0),
      (bytes: Buffer) => bytes,
      {},
    );
    stream.on("error", () => undefined);
    stream.once("data", () => stream.cancel());
    await eventually(() => cleanedUp && gateway.reports.length > 0);
    expect(gateway.reports).toMatchObject([{ method: "WatchRevocations", code: "CANCELLED", reason: "CANCELED" }]);
  });
});
