import { Code, type ConnectError } from "@connectrpc/connect";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { CallReporter, type OnCall } from "./call-report.ts";
import { transportError } from "./connect-error.ts";
import { type NodeRequest, type NodeResponse, nodeHeadersOf, pathOf } from "./node-message.ts";
import { protocolOf } from "./protocol.ts";

const HINT = `This is m2m-gateway's RPC port. It speaks gRPC, gRPC-Web and Connect, over HTTP/1.1 and cleartext HTTP/2.
Services: m2mgateway.v1.TokenService, m2mgateway.v1.RevocationService, m2mgateway.v1.GatewayService,
grpc.health.v1.Health. Server reflection is on: try \`buf curl --list-methods\` or \`grpcurl -plaintext HOST:PORT list\`.
`;

/**
 * Answers a request that names no RPC, in the protocol of its content type: UNIMPLEMENTED. gRPC wants it as a status on a
 * successful HTTP answer; a Connect client takes it from the body or, for streams, from HTTP 404.
 */
export function answerUnknown(request: NodeRequest, response: NodeResponse, onCall: OnCall): void {
  if (pathOf(request) === "/" && (request.method === "GET" || request.method === "HEAD")) {
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    response.end(HINT);
    return;
  }
  const contentType = request.headers["content-type"];
  const protocol = protocolOf(contentType);
  const reporter = new CallReporter(onCall, { service: "unknown", method: "unknown", protocol });
  const error = transportError(Code.Unimplemented, "UNIMPLEMENTED", "no such service or method");
  if (protocol === "connect") {
    const body = errorToJsonBytes(error, undefined);
    response.writeHead(404, { "content-type": "application/json", "content-length": String(body.byteLength) });
    response.end(body);
  } else {
    // The status in the headers and no body: "trailers-only", which both protocols allow.
    response.writeHead(200, { "content-type": contentType ?? "", ...statusHeaders(error) });
    response.end();
  }
  reporter.end(error, undefined);
}

function statusHeaders(error: ConnectError): Record<string, string> {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  return nodeHeadersOf(headers);
}
