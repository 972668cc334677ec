import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { freePort } from "../support/redis/redis-process.ts";
import { ServerProcess } from "./server-process.ts";

/** A gateway in a process of its own that keeps its ports when it is started again, and gRPC clients to it. */
export class GatewayProcess {
  readonly name: string;
  readonly url: string;
  readonly adminUrl: string;
  readonly process: ServerProcess;
  readonly tokens: Client<typeof TokenService>;
  readonly revocations: Client<typeof RevocationService>;
  readonly status: Client<typeof GatewayService>;
  readonly #sessions: Http2SessionManager;
  /** How often it has been started: answers of different incarnations are different processes' answers. */
  incarnation = 0;
  /** False from just before it is killed until it serves again. */
  up = false;

  private constructor(name: string, ports: readonly [number, number], env: Readonly<Record<string, string>>) {
    const [port, adminPort] = ports;
    this.name = name;
    this.url = `http://127.0.0.1:${port}`;
    this.adminUrl = `http://127.0.0.1:${adminPort}`;
    this.process = new ServerProcess({
      args: ["serve", "--listen", `127.0.0.1:${port}`, "--admin-listen", `127.0.0.1:${adminPort}`],
      env: { GATEWAY_LOG_LEVEL: "error", GATEWAY_REPLICA: name, ...env },
      // The admin port is up before the port for RPCs, so this one is asked.
      isUp: async () => (await fetch(`${this.url}/`, { signal: AbortSignal.timeout(500) })).status > 0,
    });
    this.#sessions = new Http2SessionManager(this.url);
    const transport = createGrpcTransport({ baseUrl: this.url, sessionManager: this.#sessions });
    this.tokens = createClient(TokenService, transport);
    this.revocations = createClient(RevocationService, transport);
    this.status = createClient(GatewayService, transport);
  }

  static async start(name: string, env: Readonly<Record<string, string>>): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(name, [await freePort(), await freePort()], env);
    await gateway.start();
    return gateway;
  }

  async start(): Promise<void> {
    await this.process.start();
    this.incarnation += 1;
    this.up = true;
  }

  async kill(): Promise<void> {
    this.up = false;
    await this.process.kill();
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#sessions.abort();
  }
}
