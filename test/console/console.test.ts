import type { Browser, BrowserContext, ConsoleMessage, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { GatewayProcess } from "../faults/gateway-process.ts";
import { BROWSER_TIMEOUT_MS, startBrowser } from "../support/browser/start-browser.ts";
import { type ConsoleWorld, startConsoleWorld } from "./console-world.ts";

const TIMEOUT_MS = 120_000;

describe("the console in a browser", { timeout: TIMEOUT_MS }, () => {
  let browser: Browser;
  let world: ConsoleWorld;
  let shown: GatewayProcess;
  let other: GatewayProcess;
  let context: BrowserContext;
  let page: Page;
  let complaints: string[];

  beforeAll(async () => {
    [browser, world] = await Promise.all([startBrowser(["MAP rebound.test 127.0.0.1"]), startConsoleWorld(["a", "b"])]);
    const [first, second] = world.gateways;
    if (first === undefined || second === undefined) throw new Error("there are two gateways");
    [shown, other] = [first, second];
  }, BROWSER_TIMEOUT_MS);
  afterAll(async () => {
    await browser?.close();
    await world?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    context = await browser.newContext({ colorScheme: "light", viewport: { width: 1440, height: 900 } });
    context.setDefaultTimeout(TIMEOUT_MS);
    page = await context.newPage();
    complaints = [];
    page.on("console", (message: ConsoleMessage) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(shown.adminUrl);
    await page.waitForSelector("body[data-link=live]");
  });
  afterEach(() => context.close());

  const mint = async () => {
    const { token, secret } = await shown.tokens.createToken({});
    return { id: token?.id ?? "", secret };
  };
  const revoke = (by: GatewayProcess, value: string, reason: string) =>
    by.tokens.revokeToken({ target: { case: "tokenId", value }, reason });
  const followed = () =>
    page.waitForFunction(() => /in all/.test(document.querySelector("#feed-state")?.textContent ?? ""));

  it("shows a revocation as it happens, whichever replica was asked", async () => {
    await followed();
    const [here, there] = [await mint(), await mint()];
    await revoke(shown, here.id, "key leaked");
    await page.waitForSelector(`#feed tr.new:has-text("${here.id}"):has-text("key leaked"):has-text("a")`);
    await revoke(other, there.id, "<b>not markup</b>");
    await page.waitForSelector(`#feed tr.new:has-text("${there.id}"):has-text("<b>not markup</b>")`);
    expect(await page.locator("#feed b").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("shows the figures of the gateway: state, hits, replicas, errors, money", async () => {
    const { secret } = await mint();
    for (let at = 0; at < 20; at++) await shown.tokens.verifyToken({ token: secret });
    await revoke(shown, `mt_${"0".repeat(32)}`, "").catch(() => undefined);
    await page.waitForSelector('#tile-freshness [data-part=figure]:has-text("Synced")');
    await page.waitForSelector('#errors tr:has-text("RevokeToken"):has-text("TOKEN_NOT_FOUND")');
    await page.waitForFunction(() => document.querySelectorAll("#replicas tr").length === 2);
    await page.waitForSelector('#replicas tr:has-text("a this one"):has-text("up to date")');
    await page.waitForFunction(() =>
      /\d %/.test(document.querySelector("#tile-hits [data-part=figure]")?.textContent ?? ""),
    );
    await page.waitForFunction(() => document.querySelectorAll("#rate-chart path").length > 0);
    await page.waitForFunction(() => /\$0\.000/.test(document.querySelector("#tile-saved")?.textContent ?? ""));
    expect(await page.getAttribute("#rate-chart svg", "aria-label")).toMatch(/^Verifications per second: /);
    expect(complaints).toEqual([]);
  });

  it("says that it is disconnected, and resumes by its cursor without a gap when the gateway is back", async () => {
    await followed();
    const [before, during, after] = [await mint(), await mint(), await mint()];
    await revoke(shown, before.id, "before");
    await page.waitForSelector(`#feed tr:has-text("${before.id}")`);
    await shown.kill();
    await page.waitForSelector("body[data-link=lost]");
    expect(await page.textContent("#link")).toContain("Disconnected");
    expect(await page.isVisible("#notice")).toBe(true);
    await revoke(other, during.id, "while it was away");
    await shown.start();
    await page.waitForSelector("body[data-link=live]");
    await page.waitForSelector(`#feed tr:has-text("${during.id}")`);
    await revoke(shown, after.id, "after");
    await page.waitForSelector(`#feed tr:has-text("${after.id}")`);
    const ids = await page.locator("#feed tr td:nth-child(2)").allTextContents();
    // The latest first, each once, none missing, and not read anew from the beginning.
    expect(ids.slice(0, 3)).toEqual([after.id, during.id, before.id]);
    expect(new Set(ids).size).toBe(ids.length);
    expect(await page.textContent("#feed-state")).not.toContain("anew");
    expect(await page.isVisible("#notice")).toBe(false);
  });

  it("verifies and revokes by hand, with the keyboard alone, and keeps no secret", async () => {
    const { id, secret } = await mint();
    await page.waitForSelector("#by-hand:not([hidden])");
    await tabTo(page, "verify-token");
    await page.keyboard.type(secret);
    await page.keyboard.press("Enter");
    await page.waitForSelector(`#verify-result:has-text("valid"):has-text("${id}")`);
    expect(await page.inputValue("#verify-token")).toBe("");
    expect(await page.content()).not.toContain(secret);

    await tabTo(page, "revoke-id");
    await page.keyboard.type(id);
    await page.keyboard.press("Tab");
    await page.keyboard.type("by hand");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#revoke-dialog[open]");
    await page.keyboard.press("Escape");
    expect((await shown.tokens.verifyToken({ token: secret })).verdict).toBe(1);
    await page.keyboard.press("Enter");
    await tabTo(page, "revoke-confirm");
    await page.keyboard.press("Enter");
    await page.waitForSelector(`#revoke-result:has-text("revoked ${id}"):has-text("no replica accepts it")`);
    await page.waitForSelector(`#feed tr:has-text("${id}"):has-text("by hand")`);
    expect(await page.evaluate(() => ({ ...localStorage, ...sessionStorage, cookie: document.cookie }))).toEqual({
      cookie: "",
    });
    expect(complaints).toEqual([]);
  });

  it("follows the system's theme until the reader chooses another one, which lasts", async () => {
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark" });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.click("#theme-button");
    expect(await background()).toBe(light);
    await page.reload();
    expect(await background()).toBe(light);
    await page.click("#theme-button");
    expect(await background()).toBe(dark);
    expect(await page.textContent("#theme-button")).toBe("Theme: dark");
  });

  it.each([1440, 390])("neither overflows nor moves about at %s pixels", async (width) => {
    await page.setViewportSize({ width, height: 900 });
    const heights = () =>
      page.evaluate(() =>
        [...document.querySelectorAll(".tile, .panel")].map((part) => part.getBoundingClientRect().height),
      );
    await page.waitForFunction(() => document.querySelectorAll("#replicas tr").length === 2);
    await page.waitForSelector("#by-hand:not([hidden])");
    const before = await heights();
    const { secret } = await mint();
    for (let at = 0; at < 5; at++) await shown.tokens.verifyToken({ token: secret });
    await page.waitForFunction(() => document.querySelectorAll("#rate-chart path").length > 0);
    expect(await heights()).toEqual(before);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });

  it("runs nothing inline and speaks to nobody else", async () => {
    await page
      .evaluate(() => {
        const script = document.createElement("script");
        script.textContent = "document.body.dataset.ran = 'inline'";
        document.body.append(script);
      })
      .catch(() => undefined);
    await page.evaluate((url) => fetch(url).catch(() => undefined), `${other.adminUrl}/readyz`);
    expect(await page.getAttribute("body", "data-ran")).toBeNull();
    await expect.poll(() => complaints.join("\n")).toMatch(/Content Security Policy/i);
    const requested = await page.evaluate(() =>
      performance.getEntriesByType("resource").map(({ name }) => new URL(name).origin),
    );
    expect(new Set(requested.filter((origin) => origin !== other.adminUrl))).toEqual(new Set([shown.adminUrl]));
  });

  it("cannot be used by a page of another origin, nor under a name that was rebound to loopback", async () => {
    const foreign = await context.newPage();
    await foreign.goto(`${other.adminUrl}/livez`);
    const rpc = `${shown.adminUrl}/m2mgateway.v1.GatewayService/GetStatus`;
    const call = (url: string) =>
      fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then(
        (response) => response.status,
        () => "blocked",
      );
    const blind = (url: string) => fetch(url, { method: "POST", mode: "no-cors", body: "{}" }).then(({ type }) => type);
    expect(await foreign.evaluate(call, rpc)).toBe("blocked");
    expect(await foreign.evaluate(blind, rpc)).toBe("opaque");
    const rebound = shown.adminUrl.replace("127.0.0.1", "rebound.test");
    await foreign.goto(`${rebound}/livez`);
    expect(await foreign.evaluate(call, `${rebound}/m2mgateway.v1.GatewayService/GetStatus`)).toBe(403);
  });
});

/** Presses Tab until the element has the focus, which must then be visible. */
async function tabTo(page: Page, id: string): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(() => document.activeElement?.id)) === id) {
      expect(await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)).toBe(
        "solid",
      );
      return;
    }
  }
  throw new Error(`Tab does not lead to #${id}`);
}
