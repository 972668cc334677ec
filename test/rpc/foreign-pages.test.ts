import { request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type GatewayFixture, startGatewayFixture } from "../support/gateway-fixture.ts";
import { type CallersFixture, startCallersGateway } from "./callers-fixture.ts";

const CREATE = "/m2mgateway.v1.TokenService/CreateToken";

let fixture: GatewayFixture;
afterEach(() => fixture[Symbol.asyncDispose]());

/** Calls as a browser does. Not by `fetch`, which chooses its Host itself. */
async function post(headers: Readonly<Record<string, string>>): Promise<{ status: number; body: string }> {
  return await new Promise((resolve, reject) => {
    const all = { "content-type": "application/json", ...headers };
    const call = request(`${fixture.url}${CREATE}`, { method: "POST", headers: all }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.once("error", reject);
    call.end("{}");
  });
}

const minted = () => fixture.emulator.control.requests.total("m2m_tokens.create");

describe("a page in a browser", () => {
  it.each([
    ["whose name was made to lead here", { host: "evil.example", origin: "http://evil.example" }],
    ["of another site", { origin: "https://evil.example" }],
    ["whose name begins like this machine's", { origin: "http://localhost.evil.example:1" }],
    ["that hides where it is from", { origin: "null" }],
  ])("%s can do nothing on a port that lets in everybody on this machine", async (_which, headers) => {
    fixture = await startGatewayFixture();
    const { status, body } = await post(headers);
    expect(status).toBe(403);
    expect(body).toContain("a page of another site");
    expect(minted()).toBe(0);
  });

  it.each([["text/plain"], ["application/x-www-form-urlencoded"], ["multipart/form-data; boundary=x"]])(
    "cannot send %s, which needs nobody's leave",
    async (type) => {
      fixture = await startGatewayFixture();
      expect((await post({ "content-type": type })).status).toBe(415);
      expect(minted()).toBe(0);
    },
  );

  it.each([["http://localhost:3000"], ["http://127.0.0.1:1"], ["https://[::1]"], ["http://app.localhost"]])(
    "may call when it is of this machine itself, as %s is",
    async (origin) => {
      fixture = await startGatewayFixture();
      expect((await post({ origin })).status).toBe(200);
      expect(minted()).toBe(1);
    },
  );

  it("may call from anywhere with a caller's key", async () => {
    const callers: CallersFixture = await startCallersGateway([{ name: "page", roles: ["mint"] }]);
    fixture = callers;
    const authorization = `Bearer ${callers.keyOf("page")}`;
    expect((await post({ authorization, origin: "https://app.example" })).status).toBe(200);
  });
});
