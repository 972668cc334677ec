import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { TransportName } from "../../src/rpc/rpc-server.ts";
import { EmulatorProcess } from "../faults/emulator-process.ts";
import { ServerProcess } from "../faults/server-process.ts";
import { makeCertificate } from "../support/certificates.ts";
import { freePort } from "../support/redis/redis-process.ts";
import type { Target } from "./target.ts";

/** How a gateway fails that is still busy, on a machine that is. */
const BUSY: ReadonlySet<Code> = new Set([Code.ResourceExhausted, Code.DeadlineExceeded, Code.Unavailable]);

export interface VictimOptions {
  readonly transport: TransportName;
  readonly carrier: "tcp" | "tls";
  readonly env?: Readonly<Record<string, string>>;
}

/** The built gateway in a process of its own on an emulator in another, and a token that its memory knows. */
export class Victim implements AsyncDisposable {
  readonly target: Target;
  readonly token: string;
  readonly #process: ServerProcess;
  readonly #emulator: EmulatorProcess;
  readonly #folder: string;
  readonly #adminPort: number;
  readonly #sessions: Http2SessionManager;
  readonly #tokens;

  private constructor(parts: {
    readonly target: Target;
    readonly token: string;
    readonly process: ServerProcess;
    readonly emulator: EmulatorProcess;
    readonly folder: string;
    readonly adminPort: number;
  }) {
    this.target = parts.target;
    this.token = parts.token;
    this.#process = parts.process;
    this.#emulator = parts.emulator;
    this.#folder = parts.folder;
    this.#adminPort = parts.adminPort;
    const { port, ca } = parts.target;
    const baseUrl = `${ca === undefined ? "http" : "https"}://localhost:${port}`;
    const nodeOptions = ca === undefined ? {} : { ca };
    this.#sessions = new Http2SessionManager(baseUrl, {}, nodeOptions);
    this.#tokens = createClient(TokenService, createGrpcTransport({ baseUrl, sessionManager: this.#sessions }));
  }

  static async start({ transport, carrier, env }: VictimOptions): Promise<Victim> {
    const folder = await mkdtemp(join(tmpdir(), "abuse-"));
    const emulator = await EmulatorProcess.start();
    const [port, adminPort] = [await freePort(), await freePort()];
    const certificate = carrier === "tls" ? makeCertificate() : undefined;
    const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
    if (certificate !== undefined) {
      await Promise.all([writeFile(files.cert, certificate.cert), writeFile(files.key, certificate.key)]);
    }
    const process = new ServerProcess({
      args: ["serve", "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`],
      env: {
        ...emulator.environment,
        GATEWAY_TRANSPORT: transport,
        GATEWAY_LOG_LEVEL: "error",
        // What is in memory stays there for as long as anybody looks.
        GATEWAY_VERDICT_TTL_MS: "3000000",
        GATEWAY_WATCH_HEARTBEAT_MS: "100",
        ...(certificate === undefined ? {} : { GATEWAY_TLS_CERT_FILE: files.cert, GATEWAY_TLS_KEY_FILE: files.key }),
        ...env,
      },
      isUp: async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok && (await accepts(port)),
    });
    await process.start();
    const { secret: token } = await emulator.mint();
    const target = { port, ca: certificate?.cert };
    const victim = new Victim({ target, token, process, emulator, folder, adminPort });
    await victim.#tokens.verifyToken({ token });
    return victim;
  }

  /** Resident memory now, in MiB. */
  get residentMiB(): number {
    return this.#process.residentBytes() / 2 ** 20;
  }

  /** Which process it is. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** What it has written to standard error. */
  get errors(): string {
    return this.#process.stderr;
  }

  /** The value of a metric, by its name without the common prefix and with its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`)).text();
    const line = text.split("\n").find((candidate) => candidate.startsWith(`m2m_gateway_${name} `));
    return Number(line?.slice(line.lastIndexOf(" ")) ?? Number.NaN);
  }

  /** Resolves once a token that it has never seen is verified. What is left of an attack may keep it busy for a while. */
  async decides(): Promise<void> {
    const { secret: token } = await this.#emulator.mint();
    for (;;) {
      try {
        await this.#tokens.verifyToken({ token });
        return;
      } catch (error) {
        if (!(error instanceof ConnectError) || !BUSY.has(error.code)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sessions.abort();
    await Promise.all([this.#process.kill(), this.#emulator.stop()]);
    await rm(this.#folder, { recursive: true });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
