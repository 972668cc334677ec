import { get } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { mint, raw, verifyStatus } from "./raw-http.ts";

let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator();
});

beforeEach(() => emulator.reset());

afterAll(() => emulator.close());

const list = () => raw(emulator, "GET /machines", { key: emulator.instanceKey });
const until = (condition: () => boolean) => vi.waitUntil(condition, { timeout: 15_000, interval: 5 });
const inFlight = () => emulator.control.requests.counts()["m2m_tokens.verify"]?.in_flight;

/** Why the connection failed, as the operating system calls it. */
async function connectionError(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.then(
    () => "no error",
    (reason: unknown) => reason,
  );
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "code" in cause ? cause.code : error;
}

describe("a fault", () => {
  it("strikes its route only, as many times as it counts, and is then gone", async () => {
    emulator.control.faults.add({ route: "machines.list", status: 503, count: 2 });
    const { id } = emulator.machine("billing");
    expect((await raw(emulator, `GET /machines/${id}`, { key: emulator.instanceKey })).status).toBe(200);
    expect([(await list()).status, (await list()).status, (await list()).status]).toEqual([503, 503, 200]);
    expect(emulator.control.faults.list()).toEqual([]);
  });

  it("on every route strikes requests without a route too, before keys are looked at", async () => {
    emulator.control.faults.add({ status: 500, count: 1 });
    expect((await raw(emulator, "GET /no/such/path")).codes).toEqual(["internal_clerk_error"]);
  });

  it.each([
    [{ status: 429, headers: { "Retry-After": "3" } }, 429, "too_many_requests"],
    [{ code: "quota_exceeded" }, 403, "quota_exceeded"],
    [{ code: "never_heard_of" }, 500, "never_heard_of"],
    [{ status: 418 }, 418, "bad_request"],
    [{ status: 502, code: "service_unavailable" }, 502, "service_unavailable"],
  ])("%j answers %i %s as the API would", async (fault, status, code) => {
    emulator.control.faults.add(fault);
    const answer = await list();
    expect([answer.status, answer.codes]).toEqual([status, [code]]);
    expect(answer.headers.get("retry-after")).toBe(status === 429 ? "3" : null);
    expect(answer.json.clerk_trace_id).toBe(answer.headers.get("x-clerk-trace-id"));
  });

  it("answers a body as it is, of the type given", async () => {
    emulator.control.faults.add({ body: "<html>", content_type: "text/html; charset=utf-8", status: 502 });
    const answer = await list();
    expect([answer.status, answer.text, answer.headers.get("content-type")]).toEqual([
      502,
      "<html>",
      "text/html; charset=utf-8",
    ]);
  });

  it("with headers alone adds them to the true answer", async () => {
    emulator.control.faults.add({ headers: { "content-type": "application/json; charset=utf-8" } });
    const answer = await list();
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    expect(answer.json.total_count).toBe(2);
  });

  it.each([0, 10])("truncates the true answer to %i bytes under its full length", async (truncate) => {
    const whole = (await list()).text;
    emulator.control.faults.add({ truncate });
    const { length, received, complete } = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const headers = { authorization: `Bearer ${emulator.instanceKey}` };
      get(`${emulator.url}/machines`, { headers, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => (text += chunk));
        response.on("error", () => {});
        response.on("close", () => {
          resolve({ length: response.headers["content-length"], received: text, complete: response.complete });
        });
      }).on("error", reject);
    });
    expect([length, received, complete]).toEqual([String(whole.length), whole.slice(0, truncate), false]);
  });

  it("resets the connection", async () => {
    emulator.control.faults.add({ reset: true });
    expect(await connectionError(list())).toBe("ECONNRESET");
  });

  it("replaces the request, unless it says to execute it: then only the answer is lost", async () => {
    const key = emulator.machine("billing").secretKey;
    const { id, secret } = await mint(emulator, "billing");
    const revoke = () => raw(emulator, `POST /m2m_tokens/${id}/revoke`, { key, body: {} });
    emulator.control.faults.add({ route: "m2m_tokens.revoke", reset: true, count: 1 });
    await connectionError(revoke());
    expect(await verifyStatus(emulator, "billing", secret)).toBe(200);
    emulator.control.faults.add({ route: "m2m_tokens.revoke", reset: true, execute: true, count: 1 });
    await connectionError(revoke());
    expect(await verifyStatus(emulator, "billing", secret)).toBe(404);
    emulator.control.faults.add({ route: "m2m_tokens.create", status: 500, execute: true, count: 1 });
    expect((await raw(emulator, "POST /m2m_tokens", { key, body: {} })).status).toBe(500);
    expect(emulator.control.tokens()).toHaveLength(2);
  });

  it("delays an answer that was true when the request was carried out", async () => {
    const { id, secret } = await mint(emulator, "billing");
    emulator.control.faults.add({ route: "m2m_tokens.verify", answer_latency_ms: 100, count: 1 });
    const late = verifyStatus(emulator, "billing", secret);
    await until(() => emulator.control.tokens()[0]?.lastUsedAtMs !== undefined);
    await raw(emulator, `POST /m2m_tokens/${id}/revoke`, { key: emulator.instanceKey, body: {} });
    expect(await late).toBe(200);
    expect(await verifyStatus(emulator, "billing", secret)).toBe(404);
  });

  it.each([{ latency_ms: 600_000 }, { answer_latency_ms: 600_000 }, { hang: true }])(
    "%j lets go of a client that goes away",
    async (fault) => {
      emulator.control.faults.add(fault);
      const patience = new AbortController();
      const body = JSON.stringify({ token: "mt_x" });
      const request = fetch(`${emulator.url}/m2m_tokens/verify`, { method: "POST", body, signal: patience.signal });
      await until(() => inFlight() === 1);
      patience.abort();
      await expect(request).rejects.toThrow();
      await until(() => inFlight() === 0);
      expect(emulator.control.requests.counts()["m2m_tokens.verify"]?.statuses).toEqual({ none: 1 });
    },
  );
});

it("an emulator on every address gives a URL that this machine can reach", async () => {
  const open = await startEmulator({ host: "0.0.0.0" });
  expect(open.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await raw(open, "GET /.well-known/jwks.json")).status).toBe(200);
  await open.close();
});

describe("close", () => {
  it.each([{ hang: true }, { latency_ms: 600_000 }])(
    "cuts requests that met %j, and can be called again",
    async (fault) => {
      const doomed = await startEmulator();
      doomed.control.faults.add(fault);
      const request = connectionError(raw(doomed, "GET /machines", { key: doomed.instanceKey }));
      await until(() => doomed.control.requests.total("machines.list") === 1);
      await Promise.all([doomed.close(), doomed.close()]);
      expect(await request).toMatch(/UND_ERR_SOCKET|ECONNRESET/);
      expect(await connectionError(raw(doomed, "GET /machines"))).toBe("ECONNREFUSED");
    },
  );

  it("frees the port, and a port in use is an error", async () => {
    const first = await startEmulator();
    const port = Number(new URL(first.url).port);
    await expect(startEmulator({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await first.close();
    const second = await startEmulator({ port });
    expect(second.url).toBe(first.url);
    await second.close();
  });
});
