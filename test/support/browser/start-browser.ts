import { type Browser, chromium } from "playwright-core";
import { browserBinary } from "./browser-binary.ts";

/** How long finding a browser, or installing one, and starting it may take: the timeout for a hook that does it. */
export const BROWSER_TIMEOUT_MS = 300_000;

/** Nothing that a browser does on its own account, and no name that leads away from this machine. */
const ARGUMENTS = [
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-proxy-server",
];
const LOOPBACK_ONLY = ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1", "EXCLUDE [::1]", "EXCLUDE localhost"];

/**
 * Starts a headless browser with a profile of its own. It reaches loopback only.
 *
 * @param hostRules further rules of --host-resolver-rules, such as `MAP evil.test 127.0.0.1`; they come first
 * @throws Error saying how to get a browser
 */
export async function startBrowser(hostRules: readonly string[] = []): Promise<Browser> {
  return await chromium.launch({
    executablePath: await browserBinary(),
    headless: true,
    // The sandbox refuses to work for root. What is opened here is ours.
    chromiumSandbox: false,
    args: [...ARGUMENTS, `--host-resolver-rules=${[...hostRules, ...LOOPBACK_ONLY].join(", ")}`],
  });
}
