import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { loadConfig } from "../../src/config.ts";
import { type Emulator, type EmulatorOptions, startEmulator } from "../../src/emulator/emulator.ts";
import { startGateway } from "../../src/gateway.ts";
import { Health } from "../../src/gen/health/v1/health_pb.ts";
import { GatewayService } from "../../src/gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService, type WatchRevocationsResponse } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { TRANSPORT_ENV } from "./test-transport.ts";

export interface GatewayFixtureOptions {
  /** Which of the emulator's keys the gateway is given; `both` when not said. The machine is `billing`. */
  readonly keys?: "both" | "machine" | "instance";
  /** Variables over the fixture's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly emulator?: EmulatorOptions;
  /** What clients trust and show, where the gateway serves over TLS. */
  readonly clientTls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** A gateway in this process and gRPC clients on one connection to it. */
export interface RunningGateway extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly tokens: Client<typeof TokenService>;
  readonly revocations: Client<typeof RevocationService>;
  readonly gateway: Client<typeof GatewayService>;
  readonly health: Client<typeof Health>;
  /** Everything logged, one JSON object each. */
  readonly logLines: readonly string[];
  /** Drains and ends the gateway, the clients still open: they see what any caller sees. */
  close(): Promise<void>;
}

export interface GatewayFixture extends RunningGateway {
  readonly emulator: Emulator;
  /** Another gateway on the same emulator, as after a restart. Closed with the fixture. */
  startAnother(env?: Readonly<Record<string, string>>): Promise<RunningGateway>;
  /** Mints a token through the gateway. */
  mint(): Promise<{ readonly id: string; readonly secret: string }>;
  /** Requests for verification that reached the emulator. */
  verifyRequests(): number;
}

/** The real emulator and a real gateway on free ports of loopback. */
export async function startGatewayFixture(options: GatewayFixtureOptions = {}): Promise<GatewayFixture> {
  const emulator = await startEmulator(options.emulator);
  const started: RunningGateway[] = [];
  const start = async (env: Readonly<Record<string, string>> = {}) => {
    const running = await startGatewayOn(emulator, { ...options, env: { ...options.env, ...env } });
    started.push(running);
    return running;
  };
  const first = await start();
  return {
    ...first,
    emulator,
    startAnother: start,
    async mint() {
      const { token, secret } = await first.tokens.createToken({});
      return { id: token?.id ?? "", secret };
    },
    verifyRequests: () => emulator.control.requests.total("m2m_tokens.verify"),
    async [Symbol.asyncDispose]() {
      // What a test holds back would hold back the drain as well.
      emulator.control.faults.clear();
      for (const running of started.reverse()) await running[Symbol.asyncDispose]();
      await emulator.close();
    },
  };
}

async function startGatewayOn(emulator: Emulator, options: GatewayFixtureOptions): Promise<RunningGateway> {
  const logLines: string[] = [];
  const { config, tls, keyFiles } = loadConfig({
    env: { ...TRANSPORT_ENV, ...environmentOf(emulator, options.keys), ...options.env },
    needsKey: true,
  });
  const log = createLogger({ ...config.log, stream: { write: (line) => logLines.push(line) } });
  const gateway = await startGateway({ config, tls, keyFiles, log, version: "0.0.0-test" });
  const sessions = new Http2SessionManager(gateway.url, {}, options.clientTls);
  const transport = createGrpcTransport({ baseUrl: gateway.url, sessionManager: sessions });
  return {
    url: gateway.url,
    adminUrl: gateway.adminUrl,
    tokens: createClient(TokenService, transport),
    revocations: createClient(RevocationService, transport),
    gateway: createClient(GatewayService, transport),
    health: createClient(Health, transport),
    logLines,
    close: () => gateway.close(),
    async [Symbol.asyncDispose]() {
      sessions.abort();
      await gateway.close();
    },
  };
}

function environmentOf(emulator: Emulator, keys: GatewayFixtureOptions["keys"] = "both"): Record<string, string> {
  return {
    GATEWAY_LISTEN: "127.0.0.1:0",
    GATEWAY_ADMIN_LISTEN: "127.0.0.1:0",
    GATEWAY_DRAIN_GRACE_MS: "5000",
    // The callers are in this very process: that it is busy with them is no reason to refuse them.
    GATEWAY_SHED_DELAY_MS: "0",
    CLERK_API_URL: emulator.url,
    CLERK_MAX_REQUESTS_PER_SECOND: "100000",
    ...(keys === "instance" ? {} : { CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey }),
    ...(keys === "machine" ? {} : { CLERK_SECRET_KEY: emulator.instanceKey }),
  };
}

/** Resolves once `condition` holds; the test's own timeout is the bound. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** One open stream, read message by message. */
export class Watcher implements Disposable {
  readonly #controller = new AbortController();
  readonly #messages: AsyncIterator<WatchRevocationsResponse>;

  constructor({ revocations }: RunningGateway, request: { cursor?: string; subjects?: string[] } = {}) {
    const stream = revocations.watchRevocations(request, { signal: this.#controller.signal });
    this.#messages = stream[Symbol.asyncIterator]();
  }

  /** @throws ConnectError when the stream ends */
  async next(): Promise<WatchRevocationsResponse> {
    const { done, value } = await this.#messages.next();
    if (done === true) throw new Error("the stream ended without a status");
    return value;
  }

  /** The next message that is not a heartbeat. */
  async nextNews(): Promise<WatchRevocationsResponse> {
    for (;;) {
      const message = await this.next();
      if (message.event.case !== "heartbeat") return message;
    }
  }

  /** The token that the next message other than a heartbeat revokes. */
  async nextRevoked(): Promise<string> {
    const { event } = await this.nextNews();
    if (event.case !== "revocation") throw new Error(`not a revocation but ${event.case}`);
    return event.value.tokenId;
  }

  /** Reads the snapshot of a stream that was opened without a cursor. Returns the ids in it and where it ends. */
  async snapshot(): Promise<{ readonly ids: string[]; readonly cursor: string }> {
    const ids: string[] = [];
    for (;;) {
      const { event, cursor } = await this.nextNews();
      if (event.case === "snapshotComplete") return { ids, cursor };
      if (event.case !== "revocation") throw new Error(`not of a snapshot: ${event.case}`);
      ids.push(event.value.tokenId);
    }
  }

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}
