import { readFile } from "node:fs/promises";
import { join, normalize } from "node:path";
import { Code } from "@connectrpc/connect";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BROWSER_TIMEOUT_MS, startBrowser } from "../support/browser/start-browser.ts";
import { ROOT } from "../support/process-fixture.ts";
import { type Carrier, type Served, serve } from "./matrix/served.ts";

const PACKAGES = {
  "@bufbuild/protobuf": "@bufbuild/protobuf/dist/esm/index.js",
  "@bufbuild/protobuf/codegenv2": "@bufbuild/protobuf/dist/esm/codegenv2/index.js",
  "@bufbuild/protobuf/wire": "@bufbuild/protobuf/dist/esm/wire/index.js",
  "@bufbuild/protobuf/wkt": "@bufbuild/protobuf/dist/esm/wkt/index.js",
  "@bufbuild/protovalidate/gen/": "@bufbuild/protovalidate/dist/esm/gen/",
  "@connectrpc/connect": "@connectrpc/connect/dist/esm/index.js",
  "@connectrpc/connect-web": "@connectrpc/connect-web/dist/esm/index.js",
  "@connectrpc/connect/protocol": "@connectrpc/connect/dist/esm/protocol/index.js",
  "@connectrpc/connect/protocol-connect": "@connectrpc/connect/dist/esm/protocol-connect/index.js",
  "@connectrpc/connect/protocol-grpc-web": "@connectrpc/connect/dist/esm/protocol-grpc-web/index.js",
};
const IMPORTS = Object.fromEntries(Object.entries(PACKAGES).map(([name, path]) => [name, `/node_modules/${path}`]));
const PAGE = `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/test/interop/browser/page.js"></script>`;

const KINDS: readonly (readonly [string, Carrier, string])[] = [
  ["HTTP/1.1 in clear text", "TCP", "http/1.1"],
  ["HTTP/2 over TLS", "TLS", "h2"],
];

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
}, BROWSER_TIMEOUT_MS);
afterAll(() => browser.close());

describe.each(KINDS)("gRPC-Web of connect-web in a browser, over %s", (_name, carrier, protocol) => {
  let served: Served;
  let page: Page;
  beforeAll(async () => {
    served = await serve(carrier);
    page = await browser.newPage({ ignoreHTTPSErrors: true });
    await serveFiles(page);
    await page.goto(`${served.url}/`);
    await page.waitForFunction("typeof play === 'function'");
  });
  afterAll(async () => {
    await page.close();
    await served[Symbol.asyncDispose]();
  });

  it("creates, verifies, revokes, hears of it, and is told what is wrong", async () => {
    expect(await page.evaluate("play()")).toEqual({
      first: "snapshotComplete",
      before: ["VALID from UPSTREAM", "VALID from MEMORY"],
      after: "REVOKED from FACT",
      heardOf: true,
      failure: Code.InvalidArgument,
      protocols: [protocol],
    });
  });
});

/**
 * The page and its modules, as if they came from the gateway's origin, which serves no files and no other origin. What is
 * posted there is the browser's own doing.
 */
async function serveFiles(page: Page): Promise<void> {
  await page.route("**/*", async (route) => {
    const { pathname } = new URL(route.request().url());
    if (route.request().method() !== "GET") return await route.continue();
    if (pathname === "/") return await route.fulfill({ contentType: "text/html", body: PAGE });
    if (!pathname.endsWith(".js")) return await route.fulfill({ status: 404 });
    const body = await readFile(join(ROOT, normalize(pathname)), "utf8");
    await route.fulfill({ contentType: "text/javascript", body });
  });
}
