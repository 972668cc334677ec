import { mkdir } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Browser, Page } from "playwright-core";
import type { Emulator } from "../../src/emulator/emulator.ts";
import type { GatewayProcess } from "../faults/gateway-process.ts";
import { startBrowser } from "../support/browser/start-browser.ts";
import { startConsoleWorld } from "./console-world.ts";

/**
 * Takes the pictures of docs/console.md: a fleet of three under real load, then the page in both themes and on a narrow
 * screen. `npm run console:screenshots -- --seconds 300 --to docs/images`
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seconds: { type: "string", default: "300" }, to: { type: "string", default: "docs/images" } },
  });
  await mkdir(values.to, { recursive: true });
  await using world = await startConsoleWorld(["gateway-7f9c-a", "gateway-7f9c-b", "gateway-7f9c-c"]);
  const [gateway, ...others] = world.gateways;
  if (gateway === undefined) throw new Error("there is no gateway");
  const browser = await startBrowser();
  const load = new Traffic(world.emulator, gateway, others);
  try {
    const pages = await Promise.all([
      openPage(browser, gateway, "light", 1440),
      openPage(browser, gateway, "dark", 1440),
      openPage(browser, gateway, "dark", 390),
    ]);
    const loaded = load.run();
    await pause(Number(values.seconds) * 1000);
    const names = ["console-light", "console-dark", "console-narrow"];
    for (const [at, page] of pages.entries()) {
      await page.screenshot({ path: `${values.to}/${names[at]}.png`, fullPage: true });
    }
    load.stop();
    await loaded;
    await gateway.kill();
    await pages[0]?.waitForSelector("body[data-link=lost]");
    await pages[0]?.screenshot({ path: `${values.to}/console-disconnected.png` });
  } finally {
    load.stop();
    await browser.close();
  }
}

async function openPage(
  browser: Browser,
  { adminUrl }: GatewayProcess,
  colorScheme: "light" | "dark",
  width: number,
): Promise<Page> {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  const page = await context.newPage();
  await page.goto(adminUrl);
  return page;
}

const TOKENS = 400;
const REASONS = ["key leaked in a log", "service retired", "rotation", "employee left", "suspicious use"];

/** Clients that verify, mint, revoke and err, at a rate that rises and falls. */
class Traffic {
  readonly #emulator: Emulator;
  readonly #gateway: GatewayProcess;
  readonly #others: readonly GatewayProcess[];
  readonly #live: { id: string; secret: string }[] = [];
  #stopped = false;

  constructor(emulator: Emulator, gateway: GatewayProcess, others: readonly GatewayProcess[]) {
    this.#emulator = emulator;
    this.#gateway = gateway;
    this.#others = others;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Until it is stopped. */
  async run(): Promise<void> {
    for (let at = 0; at < TOKENS; at++) await this.#mint();
    const verifiers = Array.from({ length: 6 }, (_, at) => this.#verify(at));
    await Promise.all([...verifiers, this.#revoke(), this.#fail()]);
  }

  async #mint(): Promise<void> {
    const { token, secret } = await this.#gateway.tokens.createToken({});
    this.#live.push({ id: token?.id ?? "", secret });
  }

  async #verify(at: number): Promise<void> {
    while (!this.#stopped) {
      const dice = Math.random();
      const secret =
        dice < 0.03 ? `mt_${Math.random().toString(36).slice(2).padEnd(32, "x")}` : this.#any(dice < 0.9 ? 40 : TOKENS);
      await this.#gateway.tokens.verifyToken({ token: secret }).catch(() => undefined);
      const wave = 1 + Math.sin(performance.now() / 30_000) * 0.7;
      if (at > 1) await pause(8 / wave);
    }
  }

  async #revoke(): Promise<void> {
    while (!this.#stopped) {
      await pause(4_000 + Math.random() * 9_000);
      const [victim] = this.#live.splice(Math.floor(Math.random() * 40), 1);
      const by = [this.#gateway, ...this.#others][Math.floor(Math.random() * 3)];
      const reason = REASONS[Math.floor(Math.random() * REASONS.length)] ?? "";
      await by?.tokens
        .revokeToken({ target: { case: "tokenId", value: victim?.id ?? "" }, reason })
        .catch(() => undefined);
      await this.#gateway.tokens.verifyToken({ token: victim?.secret ?? "x" }).catch(() => undefined);
      await this.#mint().catch(() => undefined);
    }
  }

  /** A slow and failing upstream now and then, and callers' own mistakes. */
  async #fail(): Promise<void> {
    while (!this.#stopped) {
      await pause(11_000 + Math.random() * 9_000);
      this.#emulator.control.faults.add({ id: "slow", latency_ms: 120 });
      await pause(4_000);
      this.#emulator.control.faults.clear();
      this.#emulator.control.faults.add({ route: "m2m_tokens.verify", status: 503, count: 12 });
      const nobody = { case: "tokenId", value: `mt_${"0".repeat(32)}` } as const;
      await this.#gateway.tokens.revokeToken({ target: nobody }).catch(() => undefined);
      await this.#gateway.tokens.listTokens({ subject: "nonsense" }).catch(() => undefined);
    }
  }

  #any(among: number): string {
    return this.#live[Math.floor(Math.random() * Math.min(among, this.#live.length))]?.secret ?? "x";
  }
}

function pause(lengthMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, lengthMs));
}

await main();
