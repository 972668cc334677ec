import net from "node:net";
import tls from "node:tls";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { type Authority, makeAuthority } from "../support/certificates.ts";
import { type GatewayFixture, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { MountedFiles } from "./live-files.ts";

let authority: Authority;
let emulator: Emulator;
let proxy: tls.Server;
beforeEach(async () => {
  authority = makeAuthority();
  emulator = await startEmulator();
  const target = Number(new URL(emulator.url).port);
  const server = authority.issue({ name: "api", altNames: ["DNS:api.internal"] });
  proxy = tls.createServer({ ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true }, (socket) => {
    const upstream = net.connect(target, "127.0.0.1");
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) end.on("error", () => [socket, upstream].map((each) => each.destroy()));
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  proxy.close();
  await emulator.close();
});

/** A gateway whose upstream is a proxy that asks for certificates, under another name than the one it is called by. */
function start(files: MountedFiles, env: Record<string, string> = {}): Promise<GatewayFixture> {
  const { port } = proxy.address() as net.AddressInfo;
  return startGatewayFixture({
    env: {
      CLERK_API_URL: `https://127.0.0.1:${port}`,
      CLERK_SECRET_KEY: emulator.instanceKey,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_CA_FILE: files.path("ca"),
      CLERK_CLIENT_CERT_FILE: files.path("cert"),
      CLERK_CLIENT_KEY_FILE: files.path("key"),
      CLERK_SERVERNAME: "api.internal",
      GATEWAY_RELOAD_INTERVAL_MS: "100",
      ...env,
    },
  });
}

describe("TLS to the upstream", () => {
  it("trusts the authority, shows the certificate and expects the name that are configured", async () => {
    using files = new MountedFiles({ ca: authority.cert, ...authority.issue({ name: "gateway" }) });
    await using gateway = await start(files);
    expect((await gateway.mint()).id).toMatch(/^mt_/);
  });

  it("expects the name of the URL where none is configured", async () => {
    using files = new MountedFiles({ ca: authority.cert, ...authority.issue({ name: "gateway" }) });
    await using gateway = await start(files, { CLERK_SERVERNAME: "" });
    await expect(gateway.mint()).rejects.toThrow(/could not be reached/);
  });

  it("uses certificates and authorities that are replaced, without a restart", async () => {
    const stranger = makeAuthority();
    using files = new MountedFiles({ ca: authority.cert, ...stranger.issue() });
    await using gateway = await start(files);
    await expect(gateway.mint()).rejects.toThrow(/could not be reached/);
    files.replace({ ca: authority.cert, ...authority.issue() });
    await until(() => gateway.logLines.some((line) => line.includes('"reloaded"')));
    expect((await gateway.mint()).id).toMatch(/^mt_/);
  });
});
