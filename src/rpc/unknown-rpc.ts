import { Code } from "@connectrpc/connect";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import type { ObserveCall } from "./call-observer.ts";
import { CallReporter } from "./call-report.ts";
import { type PresentError, transportError } from "./connect-error.ts";
import { type Exchange, pathOf } from "./exchange.ts";
import { protocolOf } from "./protocol.ts";
import { answer, Refusal } from "./refusal.ts";

const HINT = `This is m2m-gateway's RPC port. It speaks gRPC, gRPC-Web and Connect, over HTTP/1.1 and HTTP/2.
Services: m2mgateway.v1.TokenService, m2mgateway.v1.RevocationService, m2mgateway.v1.GatewayService,
grpc.health.v1.Health. Server reflection is on: try \`buf curl --list-methods\` or \`grpcurl -plaintext HOST:PORT list\`.
`;

export interface UnknownRpcOptions {
  readonly observe: ObserveCall;
  readonly presentError: PresentError;
  /** How long a caller may go on sending that cannot be told to stop, in milliseconds. */
  readonly bodyTimeoutMs: number;
}

/**
 * Answers a request that names no RPC, in the protocol of its content type: UNIMPLEMENTED. gRPC wants it as a status on a
 * successful HTTP answer; a Connect client takes it from the body or, for streams, from HTTP 404.
 */
export function answerUnknown(exchange: Exchange, options: UnknownRpcOptions): void {
  answerTo(exchange, options);
  exchange.discardRest(options.bodyTimeoutMs, true);
}

function answerTo(exchange: Exchange, { observe, presentError }: UnknownRpcOptions): void {
  if (pathOf(exchange) === "/" && (exchange.method === "GET" || exchange.method === "HEAD")) {
    answer(exchange, 200, "text/plain; charset=utf-8", Buffer.from(HINT));
    return;
  }
  const contentType = exchange.header("content-type");
  const protocol = protocolOf(contentType);
  const labels = { service: "unknown", method: "unknown", protocol };
  const reporter = new CallReporter(observe(labels, (name) => exchange.header(name)).onEnd, labels);
  const error = presentError(transportError(Code.Unimplemented, "UNIMPLEMENTED", "no such service or method"));
  if (protocol === "connect") {
    answer(exchange, 404, "application/json", errorToJsonBytes(error, undefined));
  } else {
    new Refusal(error).answerInHeaders(exchange, contentType ?? "");
  }
  reporter.end(error, undefined);
}
