import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, describe, expect, it } from "vitest";
import { cli, startCli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SECRET } from "../../test/support/cli/samples.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

describe("a call that fails", () => {
  const cleanups: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0)) {
      await cleanup();
    }
  });

  async function failingWith(error: ConnectError): Promise<Record<string, string>> {
    const gateway = await FakeGateway.start({
      tokens: {
        verifyToken() {
          throw error;
        },
      },
    });
    cleanups.push(() => gateway.close());
    return { GATEWAY_URL: gateway.url };
  }

  async function listening(server: Server): Promise<string> {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => new Promise((resolve) => server.close(() => resolve())));
    const { port } = server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  const verify = (env: Record<string, string>, ...args: string[]) =>
    cli(["token", "verify", ...args], { env, stdin: SECRET });

  it("prints one line, the details, and what to do about the reason", async () => {
    const info = { reason: "UPSTREAM_RATE_LIMITED", domain: "m2m-gateway", metadata: { clerk_trace_id: "abc" } };
    const env = await failingWith(
      new ConnectError("Clerk allows no more calls now", Code.ResourceExhausted, undefined, [
        { desc: ErrorInfoSchema, value: info },
        { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(3000) } },
      ]),
    );
    expect(await verify(env)).toEqual({
      code: 3,
      out: "",
      err:
        "error: Clerk allows no more calls now (RESOURCE_EXHAUSTED, UPSTREAM_RATE_LIMITED)\n" +
        "  clerk_trace_id: abc\n" +
        "  retry after: 3s\n" +
        "hint: Clerk's rate limit is reached; wait before trying again, and prefer verdicts from the cache\n",
    });
  });

  it("lists field violations of an INVALID_ARGUMENT and exits with 2", async () => {
    const badRequest = create(BadRequestSchema, {
      fieldViolations: [{ field: "policy.allowed_subjects[0]", description: "does not match\u001b[2J the pattern" }],
    });
    const env = await failingWith(
      new ConnectError("the request is invalid", Code.InvalidArgument, undefined, [
        { desc: ErrorInfoSchema, value: { reason: "ARGUMENT_INVALID" } },
        { desc: BadRequestSchema, value: badRequest },
      ]),
    );
    const { code, err } = await verify(env);
    expect(code).toBe(2);
    expect(err).toContain("error: the request is invalid (INVALID_ARGUMENT, ARGUMENT_INVALID)\n");
    expect(err).toContain("  policy.allowed_subjects[0]: does not match[2J the pattern\n");
  });

  it("has no hint for a reason it does not know, not even one named like a property of objects", async () => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "constructor" } }];
    const env = await failingWith(new ConnectError("strange", Code.Aborted, undefined, details));
    expect(await verify(env)).toMatchObject({ code: 3, err: "error: strange (ABORTED, constructor)\n" });
  });

  it("is coloured on a terminal only", async () => {
    const env = await failingWith(new ConnectError("no", Code.Aborted));
    const call = startCli(["token", "verify"], { env: { ...env, M2M_TOKEN: SECRET }, tty: true });
    expect(await call.exit).toBe(3);
    expect(call.err()).toContain("\u001b[31merror:\u001b[39m no");
  });

  it("names the URL and how to start a gateway when none can be reached", async () => {
    const url = await listening(createServer());
    await cleanups.pop()?.();
    const { code, out, err } = await cli(["status", "--gateway", url], { invocation: "node dist/main.js" });
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(err).toContain(`error: cannot reach a gateway at ${url} (UNAVAILABLE, ECONNREFUSED)\n`);
    expect(err).toContain('hint: start one with "node dist/main.js dev"');
  });

  it("says so when what answers is not a gateway", async () => {
    const url = await listening(createHttpServer((_request, response) => response.end("hello")));
    const { code, err } = await cli(["status", "--gateway", url]);
    expect(code).toBe(3);
    expect(err).toContain(`cannot reach a gateway at ${url}`);
  });

  it("gives up after the timeout on a peer that accepts and says nothing", async () => {
    const sockets: Socket[] = [];
    const url = await listening(createServer((socket) => sockets.push(socket)));
    const { code, err } = await cli(["status", "--gateway", url, "--timeout", "50ms"]);
    for (const socket of sockets) {
      socket.destroy();
    }
    expect(code).toBe(3);
    expect(err).toContain("DEADLINE_EXCEEDED");
    expect(err).toContain("raise --timeout");
  });

  it("ends with exit code 3 when it is interrupted", async () => {
    let asked = false;
    const gateway = await FakeGateway.start({
      gateway: {
        getStatus() {
          asked = true;
          return new Promise(() => undefined);
        },
      },
    });
    cleanups.push(() => gateway.close());
    const call = startCli(["status"], { env: { GATEWAY_URL: gateway.url } });
    await expect.poll(() => asked).toBe(true);
    call.interrupt();
    expect(await call.exit).toBe(3);
    expect(call.err()).toContain("CANCELED");
    await expect.poll(() => gateway.connections).toBe(0);
  });
});
