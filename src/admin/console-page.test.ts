import { afterEach, describe, expect, test } from "vitest";
import { ask, closeAdmins, startAdmin } from "../../test/support/admin-port.ts";
import { CONSOLE_RPCS } from "../rpc/routes.ts";
import type { ConsoleRpcs } from "./console-rpcs.ts";

afterEach(closeAdmins);

describe("the console on the admin port", () => {
  const html = { headers: { accept: "text/html,*/*" } };

  test("is at /console, and at / for those who read HTML", async () => {
    const { server } = await startAdmin();
    const page = await ask(server, "/console");
    expect(page).toMatchObject({ status: 200, headers: { "content-type": "text/html; charset=utf-8" } });
    expect(page.text).toContain("m2m-gateway console");
    expect((await ask(server, "/", html)).text).toBe(page.text);
    expect((await ask(server, "/")).text).toMatch(/^m2m-gateway, admin port/);
  });

  test("comes with all that it loads, under a policy that allows nothing else", async () => {
    const { server } = await startAdmin();
    const page = await ask(server, "/console");
    const policy = page.headers["content-security-policy"];
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    expect(page.headers["set-cookie"]).toBeUndefined();
    const seen = new Set<string>();
    const load = async (path: string) => {
      if (seen.has(path)) return;
      seen.add(path);
      const { status, text } = await ask(server, path);
      expect([path, status]).toEqual([path, 200]);
      for (const [, name = ""] of text.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)) await load(name);
      for (const [, name = ""] of text.matchAll(/from "\.\/([^"]+)"/g)) await load(`/console/${name}`);
    };
    await load("/console");
    expect(seen.size).toBeGreaterThan(15);
  });

  test.each([
    "/console/",
    "/console/../main.js",
    "/console/..%2fmain.js",
    "/console/tsconfig.json",
    "/console/__proto__",
  ])("has no file at %s", async (path) => {
    expect((await ask((await startAdmin()).server, path)).status).toBe(404);
  });

  test("serves its calls, and refuses those of other pages before anybody sees them", async () => {
    const served: string[] = [];
    const consoleRpcs: ConsoleRpcs = {
      has: (path) => path === "/a.B/C",
      serve: (request, response) => {
        served.push(request.url ?? "");
        response.end("{}");
      },
    };
    const { server } = await startAdmin({ consoleRpcs });
    const post = (headers: Record<string, string>) => ask(server, "/a.B/C", { method: "POST", headers }, "{}");
    expect((await post({ origin: server.url })).status).toBe(200);
    const refused = await post({ origin: "https://evil.test" });
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text)).toMatchObject({ code: "permission_denied" });
    expect(refused.headers["access-control-allow-origin"]).toBeUndefined();
    expect((await post({ host: "rebound.test" })).status).toBe(403);
    expect((await ask(server, "/a.B/D", { method: "POST" })).status).toBe(404);
    expect(served).toEqual(["/a.B/C"]);
  });

  test("offers four calls and no other", async () => {
    expect([...CONSOLE_RPCS].sort()).toEqual([
      "/m2mgateway.v1.GatewayService/GetStatus",
      "/m2mgateway.v1.RevocationService/WatchRevocations",
      "/m2mgateway.v1.TokenService/RevokeToken",
      "/m2mgateway.v1.TokenService/VerifyToken",
    ]);
  });
});
