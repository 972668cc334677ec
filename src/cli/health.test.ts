import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { HealthCheckResponse_ServingStatus as Status } from "../gen/health/v1/health_pb.ts";

describe("health", () => {
  let gateway: FakeGateway;
  let env: Record<string, string>;

  beforeEach(async () => {
    const statuses: Record<string, Status> = { "": Status.SERVING, down: Status.NOT_SERVING };
    gateway = await FakeGateway.start({
      health: {
        check({ service }) {
          const status = statuses[service];
          if (status === undefined) {
            throw new ConnectError("unknown service", Code.NotFound);
          }
          return { status };
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("exits with 0 when serving, 1 when not, 3 when the service is unknown", async () => {
    expect(await cli(["health"], { env })).toEqual({ code: 0, out: "SERVING\n", err: "" });
    expect(await cli(["health", "--service", "down"], { env })).toEqual({ code: 1, out: "NOT_SERVING\n", err: "" });
    expect(await cli(["health", "--service", "unheard.of.Service"], { env })).toMatchObject({ code: 3, out: "" });
  });

  it("prints one JSON object", async () => {
    expect(await cli(["health", "--output", "json"], { env })).toMatchObject({
      code: 0,
      out: '{"status":"SERVING"}\n',
    });
  });
});
