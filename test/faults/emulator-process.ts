import { ServerProcess } from "./server-process.ts";

export interface MintedToken {
  readonly id: string;
  readonly secret: string;
  readonly isJwt: boolean;
}

interface Description {
  readonly emulator: string;
  readonly instance_key: string;
  readonly machines: readonly {
    readonly name: string;
    readonly id: string;
    readonly secret_key: string;
  }[];
}

/** The emulator in a process of its own. It is honest: a token that it has revoked is refused from then on. */
export class EmulatorProcess {
  readonly #process: ServerProcess;
  readonly #description: Description;

  private constructor(process: ServerProcess, description: Description) {
    this.#process = process;
    this.#description = description;
  }

  static async start(): Promise<EmulatorProcess> {
    const server = new ServerProcess({
      args: ["emulator", "--listen", "127.0.0.1:0", "--output", "json"],
      env: { GATEWAY_LOG_LEVEL: "error" },
      isUp: (stdout) => stdout.endsWith("}\n"),
    });
    await server.start();
    const emulator = new EmulatorProcess(server, JSON.parse(server.stdout) as Description);
    await emulator.#post("/__emulator/switches", { revoke_propagation_ms: 0 });
    return emulator;
  }

  get url(): string {
    return this.#description.emulator;
  }

  /** What a gateway needs to use it. */
  get environment(): Readonly<Record<string, string>> {
    return {
      CLERK_API_URL: this.url,
      CLERK_SECRET_KEY: this.#description.instance_key,
      CLERK_MACHINE_SECRET_KEY: this.#machine(0).secret_key,
      CLERK_MACHINE_ID: this.#machine(0).id,
    };
  }

  /** The machine whose JWTs are revoked all together. */
  get other(): string {
    return this.#machine(1).id;
  }

  mint(isJwt = false): Promise<MintedToken> {
    return this.#mint(this.#machine(0).secret_key, isJwt);
  }

  /** A JWT of the other machine. */
  mintOther(): Promise<MintedToken> {
    return this.#mint(this.#machine(1).secret_key, true);
  }

  /** Verifications that have reached it, from all gateways. */
  async verifications(): Promise<number> {
    const response = await fetch(`${this.url}/__emulator/requests`);
    const counts = (await response.json()) as Record<string, { readonly total: number }>;
    return counts["m2m_tokens.verify"]?.total ?? 0;
  }

  stop(): Promise<void> {
    return this.#process.kill();
  }

  #machine(index: number): Description["machines"][number] {
    const machine = this.#description.machines[index];
    if (machine === undefined) throw new Error(`the emulator has no machine ${index}`);
    return machine;
  }

  async #mint(key: string, isJwt: boolean): Promise<MintedToken> {
    const body = { token_format: isJwt ? "jwt" : "opaque" };
    const minted = (await this.#post("/v1/m2m_tokens", body, key)) as { id: string; token: string };
    return { id: minted.id, secret: minted.token, isJwt };
  }

  async #post(path: string, body: object, key = ""): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`the emulator answered ${response.status} to ${path}`);
    return await response.json();
  }
}
