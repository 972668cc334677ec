import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeAuthority } from "../../test/support/certificates.ts";
import { makeIssuerKey } from "../../test/support/jwts.ts";
import { eventually, FakeClock } from "../../test/support/upstream/fake-clock.ts";
import { json, type Reply, ScriptedServer, text } from "../../test/support/upstream/scripted-server.ts";
import { GatewayError } from "../token/errors.ts";
import { IssuerEndpoint } from "./issuer-endpoint.ts";

const TIMEOUT_MS = 5_000;
const { jwk } = makeIssuerKey("ins_first");
const KEY_SET = { keys: [{ kty: "RSA", use: "sig", alg: "RS256", kid: jwk.keyId, n: jwk.modulus, e: jwk.exponent }] };

let server: ScriptedServer;
let url: string;
let clock: FakeClock;
let open: IssuerEndpoint[];
beforeEach(async () => {
  server = new ScriptedServer();
  url = await server.listen();
  clock = new FakeClock();
  open = [];
});
afterEach(async () => {
  await Promise.all(open.map((endpoint) => endpoint.close()));
  await server.close();
});

function endpointOf(issuer = url): IssuerEndpoint {
  const endpoint = new IssuerEndpoint({ issuer, timeoutMs: TIMEOUT_MS, clock });
  open.push(endpoint);
  return endpoint;
}

async function failureOf(fetching: Promise<unknown>): Promise<GatewayError> {
  const error: unknown = await fetching.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GatewayError)) throw new Error(`no GatewayError: ${error}`);
  return error;
}

const never = () => new AbortController().signal;

describe("IssuerEndpoint", () => {
  it.each([
    ["", "/.well-known/jwks.json"],
    ["/", "/.well-known/jwks.json"],
    ["/tenant/one//", "/tenant/one/.well-known/jwks.json"],
  ])("asks the issuer with path %j for its keys, with no credential", async (path, asked) => {
    server.script(json(200, KEY_SET));
    expect(await endpointOf(url + path).fetchKeys(never())).toEqual([jwk]);
    expect(server.seen).toHaveLength(1);
    const [{ method, path: seenPath, headers, body } = { method: "", path: "", headers: {}, body: "?" }] = server.seen;
    expect([method, seenPath, body]).toEqual(["GET", asked, ""]);
    expect(headers).toMatchObject({ accept: "application/json", "user-agent": "m2m-gateway" });
    expect(Object.keys(headers)).not.toContain("authorization");
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[string, Reply, RegExp]>([
    ["a redirect", (response) => response.writeHead(302, { location: "/elsewhere" }).end(), /status 302/],
    ["not found", json(404, KEY_SET), /status 404/],
    ["an error", json(500, KEY_SET), /status 500/],
    ["another success", json(203, KEY_SET), /status 203/],
    ["no JSON", text(200, "<html>", { "content-type": "text/html" }), /cannot be read/],
    ["no key set", json(200, { keys: {} }), /keys is not an array/],
    ["more than a MiB", text(200, `{"keys":[],"x":"${"x".repeat(1024 * 1024)}"}`), /too large/],
    ["bytes that are not UTF-8", text(200, Buffer.from([0x7b, 0xff, 0x7d])), /not UTF-8/],
  ])("takes %s for no key set, and follows nothing", async (_what, reply, message) => {
    server.script(reply);
    const error = await failureOf(endpointOf().fetchKeys(never()));
    expect(error).toMatchObject({ reason: "UPSTREAM_BAD_RESPONSE", message: expect.stringMatching(message) });
    expect(server.seen).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("gives up on an issuer that does not answer in time, and on one that is not there", async () => {
    server.script(() => undefined);
    const endpoint = endpointOf();
    const hanging = failureOf(endpoint.fetchKeys(never()));
    await eventually(() => server.seen.length === 1);
    clock.advance(TIMEOUT_MS);
    expect(await hanging).toMatchObject({ reason: "UPSTREAM_TIMEOUT" });
    await server.close();
    expect(await failureOf(endpointOf().fetchKeys(never()))).toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
  });

  it("stops when its caller does", async () => {
    server.script(() => undefined);
    const leaving = new AbortController();
    const fetching = failureOf(endpointOf().fetchKeys(leaving.signal));
    await eventually(() => server.seen.length === 1);
    leaving.abort();
    expect(await fetching).toMatchObject({ reason: "CANCELED" });
    await eventually(() => server.abandoned === 1);
    expect(clock.pendingTimers).toBe(0);
  });

  it("trusts the authorities that it is told to, and no others, from the next connection on", async () => {
    const [authority, stranger] = [makeAuthority(), makeAuthority()];
    const secure = createServer(authority.issue({ name: "issuer", altNames: ["IP:127.0.0.1"] }), (_request, response) =>
      response.end(JSON.stringify(KEY_SET)),
    );
    secure.listen(0, "127.0.0.1");
    await once(secure, "listening");
    try {
      const endpoint = endpointOf(`https://127.0.0.1:${(secure.address() as AddressInfo).port}`);
      expect(await failureOf(endpoint.fetchKeys(never()))).toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
      endpoint.trust(stranger.cert);
      expect(await failureOf(endpoint.fetchKeys(never()))).toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
      endpoint.trust(authority.cert);
      expect(await endpoint.fetchKeys(never())).toEqual([jwk]);
    } finally {
      secure.closeAllConnections();
      secure.close();
    }
  });
});
