import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Authority, makeAuthority } from "../support/certificates.ts";
import { type CliResult, cli } from "../support/cli/cli-call.ts";
import { type GatewayFixture, startGatewayFixture } from "../support/gateway-fixture.ts";
import { MountedFiles, tlsEnv } from "./live-files.ts";

const OPERATOR = "spiffe://example.test/operator";

let authority: Authority;
let files: MountedFiles;
let token: string;
beforeAll(() => {
  authority = makeAuthority();
  const server = authority.issue();
  const operator = authority.issue({ name: "operator", altNames: [`URI:${OPERATOR}`] });
  const stranger = makeAuthority().issue({ name: "operator", altNames: [`URI:${OPERATOR}`] });
  files = new MountedFiles({
    ...{ cert: server.cert, key: server.key, ca: authority.cert, otherCa: makeAuthority().cert },
    ...{ operatorCert: operator.cert, operatorKey: operator.key },
    ...{ strangerCert: stranger.cert, strangerKey: stranger.key },
    callers: JSON.stringify({ callers: [{ name: "operator", roles: ["admin"], uris: [OPERATOR] }] }),
  });
});
afterAll(() => files[Symbol.dispose]());

/** Runs a command of the command line with files of these names for its options. */
function run(
  { url }: GatewayFixture,
  args: readonly string[],
  named: Readonly<Record<string, string>>,
): Promise<CliResult> {
  const options = Object.entries(named).flatMap(([option, name]) => [`--${option}`, files.path(name)]);
  return cli([...args, "--gateway", url, ...options], { stdin: token });
}

const TRUSTED = { "tls-ca": "ca" };
const SHOWN = { ...TRUSTED, "tls-cert": "operatorCert", "tls-key": "operatorKey" };

describe("the command line at a gateway that serves over TLS", () => {
  let gateway: GatewayFixture;
  beforeAll(async () => {
    gateway = await startGatewayFixture({ env: tlsEnv(files), clientTls: { ca: authority.cert } });
    token = (await gateway.mint()).secret;
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  it("verifies with the authority that --tls-ca names", async () => {
    expect(await run(gateway, ["token", "verify"], TRUSTED)).toMatchObject({ code: 0, err: "" });
    expect(await run(gateway, ["health"], TRUSTED)).toMatchObject({ code: 0, err: "" });
  });

  it.each([
    ["without it", {}],
    ["with another one", { "tls-ca": "otherCa" }],
  ])("does not trust the gateway %s, and sends it no token", async (_how, options) => {
    const before = gateway.verifyRequests();
    const { code, out, err } = await run(gateway, ["token", "verify"], options);
    expect([code, out]).toEqual([3, ""]);
    expect(err).toMatch(/certificate/);
    expect(err).not.toContain(token);
    expect(gateway.verifyRequests()).toBe(before);
  });
});

describe("the command line at a gateway that demands certificates", () => {
  let gateway: GatewayFixture;
  beforeAll(async () => {
    gateway = await startGatewayFixture({
      env: {
        ...tlsEnv(files, true),
        GATEWAY_CALLERS_FILE: files.path("callers"),
        GATEWAY_CALLERS_DEMAND_LOCAL: "true",
      },
      clientTls: {
        ca: authority.cert,
        ...authority.issue({ name: "test", altNames: [`URI:${OPERATOR}`] }),
      },
    });
    token = (await gateway.mint()).secret;
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  it("is the caller that --tls-cert and --tls-key show", async () => {
    expect(await run(gateway, ["token", "verify"], SHOWN)).toMatchObject({ code: 0, err: "" });
    const { code, out } = await run(gateway, ["token", "create"], SHOWN);
    expect(code).toBe(0);
    expect(out).toContain("mt_");
    const audits = gateway.logLines.filter((line) => line.includes('"audit":true'));
    expect(JSON.parse(audits.at(-1) ?? "{}")).toMatchObject({ caller: "operator", method: "CreateToken", code: "OK" });
  });

  it.each([
    ["without a certificate", TRUSTED],
    ["with a certificate of another authority", { ...TRUSTED, "tls-cert": "strangerCert", "tls-key": "strangerKey" }],
  ])("is let in nowhere %s", async (_how, options) => {
    const { code, out, err } = await run(gateway, ["token", "verify"], options);
    expect([code, out]).toEqual([3, ""]);
    expect(err).not.toContain(token);
  });

  it.each([
    ["a key of another certificate", { ...SHOWN, "tls-key": "strangerKey" }],
    ["what is no certificate", { ...SHOWN, "tls-cert": "callers" }],
  ])("says that it cannot use %s, and not what is in the file", async (_what, options) => {
    const { code, out, err } = await run(gateway, ["token", "verify"], options);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("--tls-cert and --tls-key: do not hold a certificate in PEM and its key");
    expect(err).not.toMatch(/PRIVATE KEY|spiffe/);
  });
});
