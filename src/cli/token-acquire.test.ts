import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SECRET, TOKEN_ID, token, value } from "../../test/support/cli/samples.ts";
import { type AcquireTokenRequest, TokenFormat } from "../gen/m2mgateway/v1/token_service_pb.ts";

describe("token acquire", () => {
  let gateway: FakeGateway;
  let requests: AcquireTokenRequest[];
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    gateway = await FakeGateway.start({
      tokens: {
        acquireToken(request) {
          requests.push(request);
          return { token: token({ claims: value({ role: "reader" }) }), secret: SECRET };
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("prints the secret alone on standard output and never on standard error", async () => {
    const { code, out, err } = await cli(["token", "acquire"], { env });
    expect(code).toBe(0);
    expect(out).toBe(`${SECRET}\n`);
    expect(err).toContain(TOKEN_ID);
    expect(err).toContain('{"role":"reader"}');
    expect(err).not.toContain(SECRET);
  });

  it("prints one JSON object with the token and the secret, default values included", async () => {
    const { code, out, err } = await cli(["token", "acquire", "--output", "json"], { env });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      secret: SECRET,
      token: { id: TOKEN_ID, format: "TOKEN_FORMAT_OPAQUE", revoked: false, claims: { role: "reader" } },
    });
    expect(err).toBe("");
  });

  it("sends format, lifetimes and claims as given, and nothing where nothing was given", async () => {
    await cli(["token", "acquire"], { env });
    await cli(
      ["token", "acquire", "--format", "jwt", "--ttl", "1h30m", "--min-remaining-ttl", "90s", "--claims", '{"a":[1]}'],
      { env },
    );
    const [bare, full] = requests;
    expect(bare?.format).toBe(TokenFormat.UNSPECIFIED);
    expect([bare?.ttl, bare?.claims, bare?.minRemainingTtl]).toEqual([undefined, undefined, undefined]);
    expect(full).toMatchObject({ format: TokenFormat.JWT, ttl: { seconds: 5400n }, minRemainingTtl: { seconds: 90n } });
    expect(full?.claims && toJson(ValueSchema, full.claims)).toEqual({ a: [1] });
  });

  it.each([
    ["claims that are not JSON", ["--claims", "{role:reader}"]],
    ["a lifetime without a unit", ["--ttl", "3600"]],
    ["a lifetime of nothing", ["--ttl", "0"]],
    ["a lifetime beyond ten years", ["--ttl", "4000d"]],
    ["a remaining lifetime that is none", ["--min-remaining-ttl", "soon"]],
  ])("refuses %s with exit code 2 and asks the gateway for nothing", async (_, args) => {
    const { code, out, err } = await cli(["token", "acquire", ...args], { env });
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^error: /);
    expect(requests).toEqual([]);
  });
});
