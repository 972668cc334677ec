import { Agent, type IncomingHttpHeaders, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type AdminServer, type Readiness, startAdminServer } from "./admin-server.ts";

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const agent = new Agent({ keepAlive: true });
const servers: AdminServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Parts {
  readonly metrics?: () => Promise<string>;
  readonly ready?: () => Readiness;
  readonly onQuit?: () => void;
}

async function start(parts: Parts = {}) {
  const warnings: unknown[] = [];
  const server = await startAdminServer({
    host: "127.0.0.1",
    port: 0,
    metrics: async () => "up 1\n",
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    ready: () => ({ ready: true, detail: {} }),
    log: { warn: (fields: unknown) => warnings.push(fields) },
    ...parts,
  });
  servers.push(server);
  return { server, warnings };
}

function ask({ url }: AdminServer, path: string, options: RequestOptions = {}, body?: string): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, agent, ...options }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

describe("the admin port", () => {
  test("says at /livez that the process lives, ready or not", async () => {
    const { server } = await start({ ready: () => ({ ready: false, detail: {} }) });
    expect(await ask(server, "/livez")).toMatchObject({ status: 200, text: "ok\n" });
    expect((await ask(server, "/livez?verbose=1")).status).toBe(200);
  });

  test("says at /readyz whether the gateway can decide, and why not", async () => {
    let readiness: Readiness = { ready: true, detail: { freshness: "synced" } };
    const { server } = await start({ ready: () => readiness });
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
    const { server } = await start();
    const answer = await ask(server, "/metrics");
    expect(answer).toMatchObject({ status: 200, text: "up 1\n" });
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  });

  test("lists its pages at /", async () => {
    const { text } = await ask((await start()).server, "/");
    for (const page of ["/livez", "/readyz", "/metrics"]) expect(text).toContain(page);
  });

  test.each(["/livez", "/readyz", "/metrics", "/", "/nothing"])(
    "may be cached and sniffed nowhere: %s",
    async (path) => {
      const { headers } = await ask((await start()).server, path);
      expect(headers).toMatchObject({ "cache-control": "no-store", "x-content-type-options": "nosniff" });
    },
  );

  test.each(["/livez", "/readyz", "/metrics", "/", "/nothing"])(
    "answers HEAD as GET without the body: %s",
    async (path) => {
      const { server } = await start();
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
    expect(await ask((await start()).server, path)).toMatchObject({
      status: 404,
      text: "nothing here: there are /livez, /readyz and /metrics\n",
    });
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("does not take %s, whatever is sent along", async (method) => {
    const { server } = await start();
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
    const { server, warnings } = await start(parts);
    const answer = await ask(server, path);
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain("hunter2");
    expect(warnings).toMatchObject([{ path, err: { message: "hunter2" } }]);
    expect((await ask(server, "/livez")).status).toBe(200);
  });

  test("refuses what is not HTTP", async () => {
    const { server } = await start();
    expect(await raw(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).toMatch(/^HTTP\/1\.1 (?:400|505)/);
    expect(await raw(server, `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431/,
    );
  });

  test("rejects when the address is taken", async () => {
    const { server } = await start();
    const port = Number(new URL(server.url).port);
    const again = startAdminServer({
      host: "127.0.0.1",
      port,
      metrics: async () => "",
      contentType: "text/plain",
      ready: () => ({ ready: true, detail: {} }),
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
      log: { warn: () => undefined },
    });
    servers.push(server);
    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  });
});

describe("closing the admin port", () => {
  test("ends kept connections, those that never asked too, and can be repeated", async () => {
    const { server } = await start();
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
    const { server } = await start({
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
    const { server } = await start({
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

/** What the server sends in answer to the bytes, until it ends the connection. */
function raw({ url }: AdminServer, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes));
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text));
  });
}

describe("POST /quit", () => {
  async function quit(headers: Record<string, string>, method = "POST") {
    let quits = 0;
    const { server } = await start({
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

  test("is not there where it is not allowed", async () => {
    const { server } = await start();
    expect((await ask(server, "/quit", { method: "POST" })).status).toBe(404);
  });
});
