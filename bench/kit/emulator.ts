import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/support/redis/redis-process.ts";
import { Child } from "./child.ts";
import { CLAIMS, INSTANCE_KEY, LIFETIME_SECONDS, MACHINE_KEY, seedJson } from "./tokens.ts";

/** The emulator of Clerk's API as a process of its own. It knows `KNOWN_TOKENS` tokens. */
export class BenchEmulator {
  readonly url: string;
  readonly child: Child;

  private constructor(url: string, child: Child) {
    this.url = url;
    this.child = child;
  }

  static async start(folder: string, core: number | undefined): Promise<BenchEmulator> {
    const port = await freePort();
    const seedFile = join(folder, "seed.json");
    writeFileSync(seedFile, seedJson());
    const url = `http://127.0.0.1:${port}`;
    const child = await Child.start({
      command: process.execPath,
      args: ["dist/main.js", "emulator", "--listen", `127.0.0.1:${port}`, "--seed", seedFile],
      env: { GATEWAY_LOG_LEVEL: "error" },
      core,
      isUp: async () => (await fetch(`${url}/__emulator/requests`)).ok,
    });
    return new BenchEmulator(url, child);
  }

  /** What a gateway needs to use it. */
  get environment(): Readonly<Record<string, string>> {
    return { CLERK_API_URL: this.url, CLERK_SECRET_KEY: INSTANCE_KEY, CLERK_MACHINE_SECRET_KEY: MACHINE_KEY };
  }

  /** Mints a token and gives its id. */
  async mint(): Promise<string> {
    return (await this.#create({})).id;
  }

  /** Mints a JWT like the tokens that the emulator starts with, and gives the JWT itself. */
  async mintJwt(): Promise<string> {
    const wanted = { token_format: "jwt", claims: CLAIMS, seconds_until_expiration: LIFETIME_SECONDS };
    return (await this.#create(wanted)).token;
  }

  async #create(wanted: object): Promise<{ readonly id: string; readonly token: string }> {
    const response = await fetch(`${this.url}/v1/m2m_tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${MACHINE_KEY}`, "content-type": "application/json" },
      body: JSON.stringify(wanted),
    });
    if (!response.ok) throw new Error(`the emulator answered ${response.status} to a creation`);
    return (await response.json()) as { readonly id: string; readonly token: string };
  }
}
