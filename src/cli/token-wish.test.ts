import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SECRET, TOKEN_ID, token, value } from "../../test/support/cli/samples.ts";
import {
  type AcquireTokenRequest,
  type CreateTokenRequest,
  TokenFormat,
} from "../gen/m2mgateway/v1/token_service_pb.ts";

/** Two commands that differ in what the gateway does and in nothing that the command line does. */
describe.each(["create", "acquire"])("token %s", (command) => {
  let gateway: FakeGateway;
  let requests: (CreateTokenRequest | AcquireTokenRequest)[];
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    const answer = (request: CreateTokenRequest | AcquireTokenRequest) => {
      requests.push(request);
      return { token: token({ claims: value({ role: "reader" }) }), secret: SECRET };
    };
    gateway = await FakeGateway.start({ tokens: { createToken: answer, acquireToken: answer } });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("prints the secret alone on standard output and never on standard error", async () => {
    const { code, out, err } = await cli(["token", command], { env });
    expect(code).toBe(0);
    expect(out).toBe(`${SECRET}\n`);
    expect(err).toContain(TOKEN_ID);
    expect(err).toContain('{"role":"reader"}');
    expect(err).not.toContain(SECRET);
  });

  it("prints one JSON object with the token and the secret, default values included", async () => {
    const { code, out, err } = await cli(["token", command, "--output", "json"], { env });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      secret: SECRET,
      token: { id: TOKEN_ID, format: "TOKEN_FORMAT_OPAQUE", revoked: false, claims: { role: "reader" } },
    });
    expect(err).toBe("");
  });

  it("sends format, lifetimes and claims as given, and nothing where nothing was given", async () => {
    await cli(["token", command], { env });
    await cli(
      ["token", command, "--format", "jwt", "--ttl", "1h30m", "--min-remaining-ttl", "90s", "--claims", '{"a":[1]}'],
      { env },
    );
    const [bare, full] = requests;
    const name = command === "create" ? "CreateTokenRequest" : "AcquireTokenRequest";
    expect(requests.map(({ $typeName }) => $typeName)).toEqual([`m2mgateway.v1.${name}`, `m2mgateway.v1.${name}`]);
    expect(bare?.format).toBe(TokenFormat.UNSPECIFIED);
    expect([bare?.ttl, bare?.claims, bare?.minRemainingTtl]).toEqual([undefined, undefined, undefined]);
    expect(full).toMatchObject({ format: TokenFormat.JWT, ttl: { seconds: 5400n }, minRemainingTtl: { seconds: 90n } });
    expect(full?.claims && toJson(ValueSchema, full.claims)).toEqual({ a: [1] });
  });

  it("reads claims from a file and from standard input", async () => {
    const directory = await mkdtemp(join(tmpdir(), "claims-"));
    const file = join(directory, "claims.json");
    await writeFile(file, '"from a file"');
    await cli(["token", command, "--claims", `@${file}`], { env });
    await cli(["token", command, "--claims", "-"], { env, stdin: '"piped in"\n' });
    await rm(directory, { recursive: true });
    expect(requests.map(({ claims }) => claims?.kind.value)).toEqual(["from a file", "piped in"]);
  });

  it.each([
    ["claims that are not JSON", ["--claims", "{role:reader}"]],
    ["claims with a key that objects cannot hold", ["--claims", '{"a":{"__proto__":1}}']],
    ["a file that is not there", ["--claims", "@/nonexistent/claims.json"]],
    ["a format that does not exist", ["--format", "paseto"]],
    ["a lifetime without a unit", ["--ttl", "3600"]],
    ["a lifetime of nothing", ["--ttl", "0"]],
    ["a lifetime beyond ten years", ["--ttl", "4000d"]],
    ["a remaining lifetime that is none", ["--min-remaining-ttl", "soon"]],
  ])("refuses %s with exit code 2 and asks the gateway for nothing", async (_, args) => {
    const { code, out, err } = await cli(["token", command, ...args], { env });
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^error: /);
    expect(requests).toEqual([]);
  });

  it("refuses claims on standard input that are too long or not UTF-8", async () => {
    const long = await cli(["token", command, "--claims", "-"], { env, stdin: `"${"x".repeat(1024 * 1024)}"` });
    expect(long).toMatchObject({ code: 2, err: expect.stringContaining("longer than 1 MiB") });
    const binary = await cli(["token", command, "--claims", "-"], { env, stdin: Buffer.from([0x22, 0xff, 0x22]) });
    expect(binary).toMatchObject({ code: 2, err: expect.stringContaining("not UTF-8") });
    expect(requests).toEqual([]);
  });
});
