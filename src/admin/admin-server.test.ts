import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { ask, closeAdmins, NO_RPCS, raw, startAdmin } from "../../test/support/admin-port.ts";
import { type Readiness, startAdminServer } from "./admin-server.ts";

afterEach(closeAdmins);

describe("the admin port", () => {
  test("says at /livez that the process lives, ready or not", async () => {
    const { server } = await startAdmin({ ready: () => ({ ready: false, detail: {} }) });
    expect(await ask(server, "/livez")).toMatchObject({ status: 200, text: "ok\n" });
    expect((await ask(server, "/livez?verbose=1")).status).toBe(200);
  });

  test("says at /readyz whether the gateway can decide, and why not", async () => {
    let readiness: Readiness = { ready: true, detail: { freshness: "synced" } };
    const { server } = await startAdmin({ ready: () => readiness });
    const yes = await ask(server, "/readyz");
    expect(yes.status).toBe(200);
    expect(yes.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(yes.text)).toEqual({ ready: true, detail: { freshness: "synced" } });
    readiness = { ready: false, detail: { draining: true } };
    const no = await ask(server, "/readyz");
    expect(no.status).toBe(503);
    expect(JSON.parse(no.text)).toEqual({ ready: false, detail: { draining: true } });
  });

  test("gives the metrics in their media type", async () => {
    const { server } = await startAdmin();
    const answer = await ask(server, "/metrics");
    expect(answer).toMatchObject({ status: 200, text: "up 1\n" });
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  test("lists its pages at /", async () => {
    const { text } = await ask((await startAdmin()).server, "/");
    for (const page of ["/console", "/livez", "/readyz", "/metrics"]) expect(text).toContain(page);
  });

  test.each(["/livez", "/readyz", "/metrics", "/", "/nothing"])(
    "may be cached and sniffed nowhere: %s",
    async (path) => {
      const { headers } = await ask((await startAdmin()).server, path);
      expect(headers).toMatchObject({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    },
  );

  test.each(["/livez", "/readyz", "/metrics", "/", "/nothing"])(
    "answers HEAD as GET without the body: %s",
    async (path) => {
      const { server } = await startAdmin();
      const get = await ask(server, path);
      const head = await ask(server, path, { method: "HEAD" });
      expect(head.text).toBe("");
      expect(head.status).toBe(get.status);
      expect(head.headers["content-length"]).toBe(String(Buffer.byteLength(get.text)));
      expect(head.headers["content-type"]).toBe(get.headers["content-type"]);
    },
  );

  test.each([
    "/nothing",
    "//livez",
    "/livez/",
    "/livez/..",
    "/%2e%2e/etc/passwd",
    "/__proto__",
    "http://other.test/livez",
  ])("has nothing at %s", async (path) => {
    expect(await ask((await startAdmin()).server, path)).toMatchObject({
      status: 404,
      text: "nothing here: there are /console, /livez, /readyz and /metrics\n",
    });
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("does not take %s, whatever is sent along", async (method) => {
    const { server } = await startAdmin();
    const headers = { "content-length": 200_000 };
    const answer = await ask(server, "/metrics", { method, headers }, "x".repeat(200_000));
    expect(answer).toMatchObject({ status: 405, text: "/metrics takes GET and HEAD only\n" });
    expect(answer.headers.allow).toBe("GET, HEAD");
    expect((await ask(server, "/livez")).status).toBe(200);
  });

  test.each([
    ["/metrics", { metrics: () => Promise.reject(new Error("hunter2")) }],
    [
      "/readyz",
      {
        ready: () => {
          throw new Error("hunter2");
        },
      },
    ],
  ])("answers 500 without the reason, which is logged, when %s cannot be told", async (path, parts) => {
    const { server, warnings } = await startAdmin(parts);
    const answer = await ask(server, path);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("hunter2");
    expect(warnings).toMatchObject([{ path, err: { message: "hunter2" } }]);
    expect((await ask(server, "/livez")).status).toBe(200);
  });

  test("refuses what is not HTTP", async () => {
    const { server } = await startAdmin();
    expect(await raw(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).toMatch(/^HTTP\/1\.1 (?:400|505)/);
    expect(await raw(server, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431/,
    );
  });

  test("rejects when the address is taken", async () => {
    const { server } = await startAdmin();
    const port = Number(new URL(server.url).port);
    const again = startAdminServer({
      host: "127.0.0.1",
      port,
      metrics: async () => "",
      contentType: "text/plain",
      ready: () => ({ ready: true, detail: {} }),
      consoleRpcs: NO_RPCS,
      demandsOwnName: true,
      log: { warn: () => undefined },
    });
    await expect(again).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("has brackets around an IPv6 address in its URL", async () => {
    const server = await startAdminServer({
      host: "::1",
      port: 0,
      metrics: async () => "",
      contentType: "text/plain",
      ready: () => ({ ready: true, detail: {} }),
      consoleRpcs: NO_RPCS,
      demandsOwnName: true,
      log: { warn: () => undefined },
    });
    await server.close();
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  });
});

describe("closing the admin port", () => {
  test("ends kept connections, those that never asked too, and can be repeated", async () => {
    const { server } = await startAdmin();
    await ask(server, "/livez");
    const mute = connect(Number(new URL(server.url).port), "127.0.0.1");
    await new Promise((resolve) => mute.once("connect", resolve));
    const ended = new Promise((resolve) => mute.once("close", resolve));
    mute.resume();
    await Promise.all([server.close(), server.close()]);
    await ended;
    await expect(ask(server, "/livez", { agent: false })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("answers what was asked before, on a connection that then ends", async () => {
    let finish: (text: string) => void = () => undefined;
    let asked: () => void = () => undefined;
    const wasAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { server } = await startAdmin({
      metrics: () => {
        asked();
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
    });
    const answer = ask(server, "/metrics");
    await wasAsked;
    const closed = server.close();
    finish("late 1\n");
    expect(await answer).toMatchObject({ status: 200, text: "late 1\n", headers: { connection: "close" } });
    await closed;
  });

  test("does not wait for ever for an answer that does not come", async () => {
    let asked: () => void = () => undefined;
    const wasAsked = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { server } = await startAdmin({
      metrics: () => {
        asked();
        return new Promise(() => undefined);
      },
    });
    const answer = expect(ask(server, "/metrics")).rejects.toMatchObject({ code: "ECONNRESET" });
    await wasAsked;
    await server.close();
    await answer;
  });
});
