import { connect } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { ask, closeAdmins, raw, startAdmin } from "../../test/support/admin-port.ts";
import { makeCertificate } from "../../test/support/certificates.ts";

afterEach(closeAdmins);

describe("the Host of a request", () => {
  const PATHS = ["/", "/console", "/livez", "/readyz", "/metrics", "/quit", "/nothing"];

  test.each(["evil.example", "evil.example:50052", "localhost.evil.example", "127.0.0.1.evil.example"])(
    "tells a page whose name leads here, %s, nothing where only this machine can ask",
    async (host) => {
      let quits = 0;
      const { server } = await startAdmin({ onQuit: () => quits++ });
      for (const path of PATHS) {
        for (const method of ["GET", "POST"]) {
          const { status, text } = await ask(server, path, { method, headers: { host } });
          expect([path, status, text]).toEqual([path, 403, "the Host is not localhost or an IP address\n"]);
        }
      }
      expect(quits).toBe(0);
    },
  );

  test.each(["localhost", "localhost:50052", "app.localhost", "127.0.0.1:1", "10.1.2.3:50052", "[::1]:50052"])(
    "may be %s",
    async (host) => {
      const { server } = await startAdmin();
      expect((await ask(server, "/metrics", { headers: { host } })).status).toBe(200);
    },
  );

  test("may be left out by HTTP/1.0, which no browser speaks", async () => {
    const { server } = await startAdmin();
    expect(await raw(server, "GET /livez HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200/);
  });

  test("may be any name where others can ask: who scrapes goes by the name of a service", async () => {
    const { server } = await startAdmin({ demandsOwnName: false });
    const headers = { host: "m2m-gateway.prod.svc:50052" };
    for (const path of ["/livez", "/readyz", "/metrics"]) {
      expect((await ask(server, path, { headers })).status).toBe(200);
    }
  });
});

describe("the certificate of the admin port", () => {
  test("is the one that there is when the port is open, where it was replaced meanwhile", async () => {
    const [first, second] = [makeCertificate({ name: "first" }), makeCertificate({ name: "second" })];
    let asked = 0;
    const { server } = await startAdmin({ tls: () => (asked++ === 0 ? first : second) });
    const socket = connect({ port: Number(new URL(server.url).port), host: "127.0.0.1", ca: second.cert });
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    expect(socket.getPeerCertificate().subject.CN).toBe("second");
    socket.destroy();
  });
});

describe("POST /quit", () => {
  async function quit(headers: Record<string, string>, method = "POST") {
    let quits = 0;
    const { server } = await startAdmin({
      onQuit: () => {
        quits += 1;
      },
    });
    const own = new URL(server.url).host;
    const filled = Object.entries(headers).map(([name, value]) => [name, value.replace("OWN", own)]);
    const { status } = await ask(server, "/quit", { method, headers: Object.fromEntries(filled) });
    return { status, quits };
  }

  test.each([
    ["a script", {}],
    ["a page of its own", { origin: "http://OWN" }],
  ])("of %s ends the gateway", async (_who, headers) => {
    expect(await quit(headers)).toEqual({ status: 200, quits: 1 });
  });

  test.each([
    ["another site", { origin: "https://evil.example" }],
    ["another port of this machine", { origin: "http://127.0.0.1:1" }],
    ["a page without an origin", { origin: "null" }],
    ["a site whose name was made to lead here", { origin: "http://evil.example", host: "evil.example" }],
    ["the same with a port", { origin: "http://evil.example:50052", host: "evil.example:50052" }],
  ])("of %s is refused", async (_who, headers) => {
    expect(await quit(headers)).toEqual({ status: 403, quits: 0 });
  });

  test.each(["GET", "HEAD", "PUT", "OPTIONS"])("is no %s", async (method) => {
    expect(await quit({}, method)).toEqual({ status: 405, quits: 0 });
  });

  test("is refused to whom the gateway refuses it, with the reason", async () => {
    let quits = 0;
    const { server } = await startAdmin({
      onQuit: () => quits++,
      quitRefusal: ({ headers }) => (headers.authorization === "Bearer key" ? undefined : "who are you?"),
    });
    expect(await ask(server, "/quit", { method: "POST" })).toMatchObject({ status: 403, text: "who are you?\n" });
    const headers = { authorization: "Bearer key" };
    expect((await ask(server, "/quit", { method: "POST", headers })).status).toBe(200);
    expect(quits).toBe(1);
  });

  test("is not there where it is not allowed", async () => {
    const { server } = await startAdmin();
    expect((await ask(server, "/quit", { method: "POST" })).status).toBe(404);
  });
});
