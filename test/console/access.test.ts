import type { IncomingMessage, ServerResponse } from "node:http";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { ConsoleRpcs } from "../../src/admin/console-rpcs.ts";
import { closeAdmins, startAdmin } from "../support/admin-port.ts";
import { BROWSER_TIMEOUT_MS, startBrowser } from "../support/browser/start-browser.ts";

const TIMEOUT_MS = 120_000;
const ROLES: Readonly<Record<string, readonly string[]>> = {
  "Bearer key-of-an-operator": ["watch"],
  "Bearer key-of-an-admin": ["admin", "watch", "verify", "revoke", "mint"],
};

/** Answers as a gateway does that tells callers apart. */
const RPCS: ConsoleRpcs = {
  has: (path) => path.startsWith("/m2mgateway.v1."),
  serve(request: IncomingMessage, response: ServerResponse) {
    const roles = ROLES[request.headers.authorization ?? ""];
    const isStatus = request.url?.endsWith("/GetStatus") === true;
    const refusal = { code: "unauthenticated", message: "this call needs a caller's key" };
    const status = { replica: "a", access: { caller: "someone", roles } };
    response.writeHead(roles === undefined ? 401 : isStatus ? 200 : 503, { "content-type": "application/json" });
    response.end(JSON.stringify(roles === undefined ? refusal : status));
  },
};

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
}, BROWSER_TIMEOUT_MS);
afterAll(() => browser?.close());
afterEach(closeAdmins);

async function enter(page: Page, key: string): Promise<void> {
  await page.fill("#key", key);
  await page.keyboard.press("Enter");
}

it("asks for a key where the gateway wants one, and offers what its caller may do", {
  timeout: TIMEOUT_MS,
}, async () => {
  const { server } = await startAdmin({ consoleRpcs: RPCS });
  const context = await browser.newContext();
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  await page.goto(server.url);
  await page.waitForSelector("#key-dialog[open]");
  expect(await page.getAttribute("body", "data-link")).toBe("refused");
  expect(await page.textContent("#notice")).toBe("this call needs a caller's key");

  await enter(page, "key-of-an-operator");
  await page.waitForSelector("body[data-link=live]");
  expect(await page.isVisible("#by-hand")).toBe(false);

  await page.click("#key-button");
  await enter(page, "key-of-an-admin");
  await page.waitForSelector("#by-hand", { state: "visible" });
  await page.reload();
  await page.waitForSelector("#by-hand", { state: "visible" });
  expect(await page.content()).not.toContain("key-of");
  expect(
    await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie + location.href),
  ).not.toContain("key-of");

  // Another tab knows nothing of it.
  const other = await context.newPage();
  await other.goto(server.url);
  await other.waitForSelector("#key-dialog[open]");

  await page.click("#key-button");
  await page.click("#key-forget");
  await page.waitForSelector("body[data-link=refused]");
  expect(await page.isVisible("#by-hand")).toBe(false);
  await context.close();
});
