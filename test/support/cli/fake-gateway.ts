import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Health } from "../../../src/gen/health/v1/health_pb.ts";
import { GatewayService } from "../../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";

/** What the gateway answers; a call that is not scripted is UNIMPLEMENTED. */
export interface GatewayScript {
  readonly tokens?: Partial<ServiceImpl<typeof TokenService>>;
  readonly revocations?: Partial<ServiceImpl<typeof RevocationService>>;
  readonly gateway?: Partial<ServiceImpl<typeof GatewayService>>;
  readonly health?: Partial<ServiceImpl<typeof Health>>;
}

/** A gateway on loopback that follows a script, over the same protocol as the real one. */
export class FakeGateway {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();

  static async start(script: GatewayScript, port = 0): Promise<FakeGateway> {
    const gateway = new FakeGateway(script);
    await new Promise<void>((resolve) => gateway.#server.listen(port, "127.0.0.1", resolve));
    return gateway;
  }

  private constructor(script: GatewayScript) {
    const routes = (router: ConnectRouter) => {
      router.service(TokenService, script.tokens ?? {});
      router.service(RevocationService, script.revocations ?? {});
      router.service(GatewayService, script.gateway ?? {});
      router.service(Health, script.health ?? {});
    };
    this.#server = createServer(connectNodeAdapter({ routes }));
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      session.on("error", () => session.destroy());
    });
  }

  get port(): number {
    const address = this.#server.address() as AddressInfo;
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that clients hold open. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** Breaks every connection without a word. */
  cut(): void {
    for (const session of this.#sessions) {
      session.destroy();
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }
}
