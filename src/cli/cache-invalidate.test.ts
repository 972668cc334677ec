import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SUBJECT, TOKEN_ID } from "../../test/support/cli/samples.ts";
import type { InvalidateCacheRequest } from "../gen/m2mgateway/v1/gateway_service_pb.ts";

describe("cache invalidate", () => {
  let gateway: FakeGateway;
  let targets: InvalidateCacheRequest["target"][];
  let env: Record<string, string>;

  beforeEach(async () => {
    targets = [];
    gateway = await FakeGateway.start({
      gateway: {
        invalidateCache({ target }) {
          targets.push(target);
          return {};
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("forgets one token, one machine's tokens or everything", async () => {
    const byId = await cli(["cache", "invalidate", "--id", TOKEN_ID], { env });
    const bySubject = await cli(["cache", "invalidate", "--subject", SUBJECT], { env });
    const all = await cli(["cache", "invalidate", "--all"], { env });
    expect(byId).toMatchObject({ code: 0, out: `forgot what was cached about ${TOKEN_ID}\n` });
    expect(bySubject).toMatchObject({ code: 0, out: `forgot what was cached about ${SUBJECT}\n` });
    expect(all).toMatchObject({ code: 0, out: "forgot every cached verdict\n" });
    expect(targets).toEqual([
      { case: "tokenId", value: TOKEN_ID },
      { case: "subject", value: SUBJECT },
      { case: "all", value: true },
    ]);
  });

  it("prints an empty JSON object", async () => {
    expect(await cli(["cache", "invalidate", "--all", "--output", "json"], { env })).toMatchObject({ out: "{}\n" });
  });

  it.each([
    ["nothing", []],
    ["two things", ["--all", "--id", TOKEN_ID]],
  ])("refuses %s to forget with exit code 2", async (_, args) => {
    expect(await cli(["cache", "invalidate", ...args], { env })).toMatchObject({ code: 2, out: "" });
    expect(targets).toEqual([]);
  });
});
