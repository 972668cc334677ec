import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import https from "node:https";
import tls from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.ts";
import { type RunningGateway, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { MountedFiles, textsOf, tlsEnv } from "./live-files.ts";

let authority: Authority;
let first: Certificate;
let second: Certificate;
beforeAll(() => {
  authority = makeAuthority();
  first = authority.issue({ name: "first" });
  second = authority.issue({ name: "second", days: 2 });
});

/** The name in the certificate that a new connection is shown. */
async function nameShown(url: string, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = connect(url, options);
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

function connect(url: string, options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({
    ...{ host: "localhost", port: Number(new URL(url).port), ca: authority.cert, ALPNProtocols: ["h2"] },
    ...options,
  });
  socket.on("error", () => undefined);
  return socket;
}

/** Whether a client gets beyond its handshake, which in TLS 1.3 ends before the server has judged the client. */
async function isServed(url: string, options: tls.ConnectionOptions): Promise<boolean> {
  const socket = connect(url, options);
  const data = once(socket, "data").then(
    () => true,
    () => false,
  );
  const closed = once(socket, "close").then(() => false);
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0");
  const served = await Promise.race([data, closed]);
  socket.destroy();
  return served;
}

async function metricsOf({ adminUrl }: RunningGateway): Promise<string> {
  return await (await fetch(`${adminUrl}/metrics`)).text();
}

function logged({ logLines }: RunningGateway, msg: string): number {
  return logLines.filter((line) => line.includes(msg)).length;
}

describe("a gateway whose certificate is replaced", () => {
  it("shows the new one to new connections, and goes on with those that there are", async () => {
    using files = new MountedFiles(textsOf(first));
    await using gateway = await startGatewayFixture({ env: tlsEnv(files), clientTls: { ca: authority.cert } });
    const { secret } = await gateway.mint();
    expect(await nameShown(gateway.url)).toBe("first");
    files.replace(textsOf(second));
    await until(async () => (await nameShown(gateway.url)) === "second");
    // The fixture's client has one connection, and it is the one it had.
    expect((await gateway.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
    const status = await gateway.gateway.getStatus({});
    expect(status.version).toBe("0.0.0-test");
    const metrics = await metricsOf(gateway);
    const expiry = Date.parse(new X509Certificate(second.cert).validTo) / 1000;
    expect(metrics).toContain(`m2m_gateway_certificate_expiry_timestamp_seconds{certificate="server"} ${expiry}`);
    expect(metrics).toContain('m2m_gateway_reloads_total{files="tls",outcome="applied"} 1');
    expect(metrics).toContain("m2m_gateway_connections 1");
  });

  it.each([
    ["a key of another certificate", () => ({ cert: second.cert, key: first.key, ca: "" })],
    ["half a file", () => ({ cert: second.cert, key: second.key.slice(0, 100), ca: "" })],
    ["nothing", () => ({ cert: "", key: "", ca: "" })],
  ])("refuses %s, loudly, and keeps the old one until there is a good one", async (_what, spoiled) => {
    using files = new MountedFiles(textsOf(first));
    await using gateway = await startGatewayFixture({ env: tlsEnv(files), clientTls: { ca: authority.cert } });
    files.replace(spoiled());
    await until(() => logged(gateway, "files were not reloaded") === 1);
    expect(gateway.logLines.join()).not.toContain("BEGIN");
    expect(await nameShown(gateway.url)).toBe("first");
    expect(await metricsOf(gateway)).toContain('m2m_gateway_reload_refused{files="tls"} 1');
    files.replace(textsOf(second));
    await until(async () => (await nameShown(gateway.url)) === "second");
    expect(await metricsOf(gateway)).toContain('m2m_gateway_reload_refused{files="tls"} 0');
  });

  it("trusts the authorities of clients that it is given, and no longer those before, resumed sessions included", async () => {
    const [before, after] = [makeAuthority("before"), makeAuthority("after")];
    const [oldClient, newClient] = [before.issue(), after.issue()];
    using files = new MountedFiles(textsOf(first, before));
    const clientTls = { ca: authority.cert, ...oldClient };
    await using gateway = await startGatewayFixture({ env: tlsEnv(files, true), clientTls });
    const { secret } = await gateway.mint();
    const socket = connect(gateway.url, oldClient);
    const [session] = (await once(socket, "session")) as [Buffer];
    socket.destroy();
    expect(await isServed(gateway.url, newClient)).toBe(false);

    files.replace(textsOf(first, after));
    await until(() => isServed(gateway.url, newClient));
    expect(await isServed(gateway.url, oldClient)).toBe(false);
    expect(await isServed(gateway.url, { ...oldClient, session })).toBe(false);
    // A connection that there is stays: it is the peer's to renew.
    expect((await gateway.tokens.verifyToken({ token: secret })).verdict).toBe(Verdict.VALID);
  });
});

describe("the admin port", () => {
  it("is served over TLS with the same certificate, and shows the new one too", async () => {
    using files = new MountedFiles(textsOf(first, makeAuthority()));
    const env = { ...tlsEnv(files, true), GATEWAY_ADMIN_LISTEN: "localhost:0", GATEWAY_ADMIN_TLS: "true" };
    await using gateway = await startGatewayFixture({ env });
    expect(new URL(gateway.adminUrl).protocol).toBe("https:");
    // It asks for no certificate of the client, unlike the RPC port.
    const request = https.get(`${gateway.adminUrl}/livez`, { ca: authority.cert, agent: false });
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(200);
    response.resume();
    files.replace(textsOf(second, authority));
    await until(async () => (await nameShown(gateway.adminUrl, { ALPNProtocols: ["http/1.1"] })) === "second");
  });
});
