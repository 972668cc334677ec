import { once } from "node:events";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, it } from "vitest";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type FakeGateway, startFakeGateway } from "../rpc/fake-gateway.ts";
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.ts";

let authority: Authority;
let server: Certificate;
let client: Certificate;
let stranger: Certificate;

beforeAll(() => {
  authority = makeAuthority();
  server = authority.issue();
  client = authority.issue({ name: "caller", altNames: ["URI:spiffe://example.test/caller"] });
  // Named as the real one is: the name proves nothing.
  stranger = makeAuthority().issue({ name: "caller", altNames: ["URI:spiffe://example.test/caller"] });
});

function startMtlsGateway(clientAuth: "require" | "optional" | undefined): Promise<FakeGateway> {
  return startFakeGateway({
    options: { listen: { host: "localhost", port: 0 }, tls: { ...server, clientCa: authority.cert, clientAuth } },
  });
}

/** What a caller gets over each of the ways in: `VALID`, or a failure. */
async function verifyOverAll({ server: { port } }: FakeGateway, shown: Partial<Certificate>): Promise<string[]> {
  const baseUrl = `https://localhost:${port}`;
  const nodeOptions = { ca: authority.cert, ...shown };
  const transports = [
    createGrpcTransport({ baseUrl, nodeOptions }),
    createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions }),
    // Without an agent of its own, connections made with another certificate would be used.
    createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions: { agent: new https.Agent(nodeOptions) } }),
  ];
  return Promise.all(
    transports.map((transport) =>
      createClient(TokenService, transport)
        .verifyToken({ token: "mt_1" })
        .then(
          ({ verdict }) => Verdict[verdict],
          () => "failed",
        ),
    ),
  );
}

const SERVED = ["VALID", "VALID", "VALID"];
const REFUSED = ["failed", "failed", "failed"];

describe.each(["require", "optional", undefined] as const)("with client certificates: %s", (clientAuth) => {
  it("a caller with a certificate of the authority is served over every protocol", async () => {
    await using gateway = await startMtlsGateway(clientAuth);
    expect(await verifyOverAll(gateway, client)).toEqual(SERVED);
  });

  it("a caller with a certificate of another authority is refused", async () => {
    await using gateway = await startMtlsGateway(clientAuth);
    expect(await verifyOverAll(gateway, stranger)).toEqual(REFUSED);
    expect(gateway.reports).toEqual([]);
  });

  it(`a caller without a certificate is ${clientAuth === "optional" ? "served" : "refused"}`, async () => {
    await using gateway = await startMtlsGateway(clientAuth);
    expect(await verifyOverAll(gateway, {})).toEqual(clientAuth === "optional" ? SERVED : REFUSED);
  });
});

describe("TLS", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a client certificate survives the resumption of a session: %s",
    async (version) => {
      await using gateway = await startMtlsGateway("require");
      const connect = (session?: Buffer) =>
        tls.connect({
          ...{ port: gateway.server.port, host: "localhost", ca: authority.cert, ...client },
          ...{ minVersion: version, maxVersion: version, ALPNProtocols: ["h2"], session },
        });
      const first = connect();
      const [session] = (await once(first, "session")) as [Buffer];
      first.destroy();
      const second = connect(session);
      await once(second, "secureConnect");
      expect(second.isSessionReused()).toBe(true);
      const h2 = http2.connect("https://localhost", { createConnection: () => second });
      const [headers] = await once(h2.request({ ":path": "/" }), "response");
      expect(headers[":status"]).toBe(200);
      h2.destroy();
    },
  );

  it.each(["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])(
    "a client that can do no better than %s is refused",
    async (ciphers) => {
      await using gateway = await startMtlsGateway("optional");
      const { port } = gateway.server;
      const socket = tls.connect({ port, host: "localhost", ca: authority.cert, ciphers, maxVersion: "TLSv1.2" });
      await expect(once(socket, "secureConnect")).rejects.toThrow(/handshake failure/);
    },
  );
});
