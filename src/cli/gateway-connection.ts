import type { ClientHttp2Stream, Http2Session } from "node:http2";
import { connect } from "node:net";
import { type CallOptions, type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Health } from "../gen/health/v1/health_pb.ts";
import { GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";

import type { ClientCredentials } from "./client-credentials.ts";
import type { GatewayTarget } from "./global-options.ts";

/** One HTTP/2 connection to a gateway, opened by its first call. */
export interface GatewayConnection {
  readonly tokens: Client<typeof TokenService>;
  readonly revocations: Client<typeof RevocationService>;
  readonly gateway: Client<typeof GatewayService>;
  readonly health: Client<typeof Health>;
  /** Ends the connection and the calls on it. */
  close(): void;
}

/** What calls over a Unix socket say they call. */
const SOCKET_AUTHORITY = "http://localhost";

/** Speaks gRPC: cleartext HTTP/2 for `http:` and `unix:`, TLS for `https:`. */
export function connectGateway(url: string, { callerKey, tls }: ClientCredentials): GatewayConnection {
  const socket = /^unix:(.*)$/.exec(url)?.[1];
  const baseUrl = socket === undefined ? url : SOCKET_AUTHORITY;
  // Without a ping interval the session manager never verifies a session, which in connect-node 2.1.2 can hang when the
  // peer closes meanwhile. Long-lived callers must notice silence themselves and connect anew.
  const sessionManager = new QuietSessionManager(
    baseUrl,
    undefined,
    socket === undefined ? tls : { createConnection: () => connect(socket) },
  );
  const interceptors = callerKey === undefined ? [] : [bearer(callerKey)];
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors });
  return {
    tokens: createClient(TokenService, transport),
    revocations: createClient(RevocationService, transport),
    gateway: createClient(GatewayService, transport),
    health: createClient(Health, transport),
    close: () => sessionManager.abort(),
  };
}

function bearer(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
}

/** Runs `use` on a connection of its own. Each call made with the options given has the whole timeout to itself. */
export async function withGateway<T>(
  target: GatewayTarget,
  use: (connection: GatewayConnection, options: CallOptions) => Promise<T>,
): Promise<T> {
  const connection = connectGateway(target.url, target.credentials);
  try {
    return await use(connection, { timeoutMs: target.timeoutMs, signal: target.signal });
  } finally {
    connection.close();
  }
}

/**
 * A session can report an error once more after the manager has stopped listening, for example when the peer speaks
 * HTTP/1.1. The calls on it have failed by then; unheard, the error would end the process.
 */
class QuietSessionManager extends Http2SessionManager {
  #quieted: Http2Session | undefined;

  override async request(...call: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...call);
    if (stream.session !== this.#quieted) {
      this.#quieted = stream.session;
      this.#quieted?.on("error", () => undefined);
    }
    return stream;
  }
}
