import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPeers } from "../../src/callers/peer.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type CallersFixture, endOf, startCallersGateway } from "../rpc/callers-fixture.ts";
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.ts";

const SPIFFE = "spiffe://example.test/ns/prod/sa/orders";

let directory: string;
let authority: Authority;
let fixture: CallersFixture;
let port: number;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "m2mgw-mtls-"));
  authority = makeAuthority();
  const { cert, key } = authority.issue();
  const files = Object.entries({ "cert.pem": cert, "key.pem": key, "ca.pem": authority.cert });
  const [certFile, keyFile, caFile] = files.map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
  fixture = await startCallersGateway(
    [
      { name: "orders", roles: ["verify"], uris: [SPIFFE], dnsNames: ["orders.example.test"] },
      { name: "keyed", roles: ["mint"] },
    ],
    {
      GATEWAY_TLS_CERT_FILE: certFile ?? "",
      GATEWAY_TLS_KEY_FILE: keyFile ?? "",
      GATEWAY_TLS_CLIENT_CA_FILE: caFile ?? "",
      GATEWAY_TLS_CLIENT_AUTH: "optional",
    },
  );
  port = Number(new URL(fixture.url).port);
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** How verifying ends over gRPC, over Connect on HTTP/2 and over Connect on HTTP/1.1. */
async function endsOf(shown: Partial<Certificate>, headers: Record<string, string> = {}): Promise<string[]> {
  const baseUrl = `https://localhost:${port}`;
  const nodeOptions = { ca: authority.cert, ...shown };
  const transports = [
    createGrpcTransport({ baseUrl, nodeOptions }),
    createConnectTransport({ baseUrl, httpVersion: "2", nodeOptions }),
    createConnectTransport({ baseUrl, httpVersion: "1.1", nodeOptions: { agent: new https.Agent(nodeOptions) } }),
  ];
  const calls = transports.map((transport) => {
    const client = createClient(TokenService, transport);
    // Twice: the second finds out from memory, and on the engine in its lane.
    return endOf(
      client.verifyToken({ token: "x" }, { headers }).then(() => client.verifyToken({ token: "x" }, { headers })),
    );
  });
  return await Promise.all(calls);
}

const all = (end: string) => [end, end, end];

describe("a client certificate", () => {
  it.each([
    ["its URI", `URI:${SPIFFE}`],
    ["its DNS name, in any case", "DNS:Orders.Example.TEST"],
    ["one of several names", `DNS:other.example.test,URI:${SPIFFE}`],
  ])("makes a caller known by %s", async (_what, altName) => {
    expect(await endsOf(authority.issue({ name: "x", altNames: altName.split(",") }))).toEqual(all("OK"));
  });

  it.each([
    ["a name that the file does not hold", { name: "x", altNames: ["URI:spiffe://example.test/other"] }],
    ["the right name as its common name", { name: "orders.example.test", altNames: [] }],
    ["the right name in the wrong place", { name: "x", altNames: ["DNS:spiffe", "email:orders.example.test"] }],
    ["the right name within another", { name: "x", altNames: [`URI:spiffe://evil/?DNS:orders.example.test`] }],
  ])("with %s is nobody's", async (_what, options) => {
    expect(await endsOf(authority.issue(options))).toEqual(all("Unauthenticated CALLER_UNAUTHENTICATED"));
  });

  it("counts for less than a key that is sent with it", async () => {
    const shown = authority.issue({ name: "x", altNames: [`URI:${SPIFFE}`] });
    const keyed = { authorization: `Bearer ${fixture.keyOf("keyed")}` };
    expect(await endsOf(shown, keyed)).toEqual(all("PermissionDenied CALLER_FORBIDDEN"));
    const unknown = { authorization: "Bearer nobody" };
    expect(await endsOf(shown, unknown)).toEqual(all("Unauthenticated CALLER_UNAUTHENTICATED"));
  });

  it("none at all leaves a caller unknown", async () => {
    expect(await endsOf({})).toEqual(all("Unauthenticated CALLER_UNAUTHENTICATED"));
  });
});

it("a resumed TLS session has the names of the certificate that it began with", async () => {
  const { cert, key } = authority.issue({ name: "x", altNames: [`URI:${SPIFFE}`] });
  const names: (readonly string[] | undefined)[] = [];
  const peerOf = createPeers(false);
  const own = authority.issue();
  const server = tls.createServer({ ...own, ca: authority.cert, requestCert: true }, (socket) => {
    names.push(peerOf(socket).facts.names?.uris);
    socket.end("hello");
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  const address = server.address();
  const options = {
    port: typeof address === "object" ? (address?.port ?? 0) : 0,
    host: "localhost",
    ca: authority.cert,
  };
  const connect = (session: Buffer | undefined) =>
    new Promise<{ session: Buffer | undefined; isReused: boolean }>((resolve, reject) => {
      let given = session;
      let isReused = false;
      const socket = tls.connect({ ...options, cert, key, ...(session === undefined ? {} : { session }) });
      socket.on("session", (ticket) => {
        given = ticket;
      });
      socket.on("secureConnect", () => {
        isReused = socket.isSessionReused();
      });
      socket.on("error", reject);
      socket.on("close", () => resolve({ session: given, isReused }));
      socket.resume();
    });
  const first = await connect(undefined);
  const second = await connect(first.session);
  server.close();
  expect(second.isReused).toBe(true);
  expect(names).toEqual([[SPIFFE], [SPIFFE]]);
});
