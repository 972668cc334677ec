import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { revocation, SUBJECT } from "../../test/support/cli/samples.ts";
import type { ListRevocationsRequest } from "../gen/m2mgateway/v1/revocation_service_pb.ts";

describe("revocations list", () => {
  let gateway: FakeGateway;
  let requests: ListRevocationsRequest[];
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    gateway = await FakeGateway.start({
      revocations: {
        listRevocations(request) {
          requests.push(request);
          return request.pageToken === ""
            ? { revocations: [revocation(1)], nextPageToken: "p2" }
            : { revocations: [revocation(2, { subject: "", reason: "two\nlines\u009b31m" })] };
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("prints every page as one aligned table, one revocation a line", async () => {
    const { code, out, err } = await cli(["revocations", "list", "--subject", SUBJECT], { env });
    expect(code).toBe(0);
    const [header = "", first = "", second = ""] = out.trimEnd().split("\n");
    expect(out.trimEnd().split("\n")).toHaveLength(3);
    expect(first.indexOf("reason 1")).toBe(header.indexOf("REASON"));
    expect(second).toMatch(/two lines31m$/);
    expect(err).toBe("live revocations: 2\n");
    expect(requests.map(({ subjects }) => subjects)).toEqual([[SUBJECT], [SUBJECT]]);
  });

  it("prints every page as one JSON object", async () => {
    const { out } = await cli(["revocations", "list", "--output", "json"], { env });
    const answer = JSON.parse(out);
    expect(answer.revocations.map(({ cursor }: { cursor: string }) => cursor)).toEqual(["e.1-0", "e.2-0"]);
    expect(answer.revocations[1].reason).toBe("two\nlines\u009b31m");
  });
});
