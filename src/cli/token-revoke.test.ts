import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SECRET, TOKEN_ID, token } from "../../test/support/cli/samples.ts";
import { Propagation, type RevokeTokenRequest, Wait } from "../gen/m2mgateway/v1/token_service_pb.ts";

describe("token revoke", () => {
  let gateway: FakeGateway;
  let requests: RevokeTokenRequest[];
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    gateway = await FakeGateway.start({
      tokens: {
        revokeToken(request) {
          requests.push(request);
          const propagation = request.wait === Wait.FLEET ? Propagation.FLEET : Propagation.REPLICA;
          return { token: token({ revoked: true, revocationReason: request.reason }), cursor: "e.5-0", propagation };
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("revokes by id and says how far it is known", async () => {
    const args = ["token", "revoke", "--id", TOKEN_ID, "--reason", "key leaked", "--wait", "fleet"];
    const { code, out } = await cli(args, { env });
    expect(code).toBe(0);
    expect(out).toMatch(/^REVOKED\n/);
    for (const part of [TOKEN_ID, "key leaked", "every replica", "e.5-0"]) {
      expect(out).toContain(part);
    }
    expect(requests[0]).toMatchObject({
      target: { case: "tokenId", value: TOKEN_ID },
      reason: "key leaked",
      wait: Wait.FLEET,
    });
  });

  it("revokes by the secret from standard input or M2M_TOKEN, and does not print it", async () => {
    const piped = await cli(["token", "revoke"], { env, stdin: `${SECRET}\n` });
    const fromEnv = await cli(["token", "revoke", "--wait", "replica"], { env: { ...env, M2M_TOKEN: SECRET } });
    expect([piped.code, fromEnv.code]).toEqual([0, 0]);
    expect(piped.out + piped.err + fromEnv.out + fromEnv.err).not.toContain(SECRET);
    expect(requests.map(({ target }) => target)).toEqual([
      { case: "token", value: SECRET },
      { case: "token", value: SECRET },
    ]);
    expect(requests.map(({ wait }) => wait)).toEqual([Wait.UNSPECIFIED, Wait.REPLICA]);
  });

  it("prefers the id that was typed to a token in the environment", async () => {
    await cli(["token", "revoke", "--id", TOKEN_ID], { env: { ...env, M2M_TOKEN: SECRET } });
    expect(requests[0]?.target).toEqual({ case: "tokenId", value: TOKEN_ID });
  });

  it("prints one JSON object", async () => {
    const { out } = await cli(["token", "revoke", "--id", TOKEN_ID, "--output", "json"], { env });
    expect(JSON.parse(out)).toMatchObject({
      cursor: "e.5-0",
      propagation: "PROPAGATION_REPLICA",
      token: { revoked: true },
    });
  });

  it.each([
    ["both an id and a token", ["--id", TOKEN_ID, "-"]],
    ["an id that is none", ["--id", "42"]],
    ["an id as an argument", [TOKEN_ID]],
    ["a wait that does not exist", ["--id", TOKEN_ID, "--wait", "world"]],
  ])("refuses %s with exit code 2", async (_, args) => {
    expect(await cli(["token", "revoke", ...args], { env, stdin: SECRET })).toMatchObject({ code: 2, out: "" });
    expect(requests).toEqual([]);
  });
});
