import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { type Limit, overloaded } from "./admission.ts";
import type { PresentError } from "./connect-error.ts";
import { type Exchange, plainHeaders } from "./exchange.ts";
import { type Protocol, protocolOf } from "./protocol.ts";

/** A refusal in every form that a caller may want it in. */
interface Refusal {
  readonly error: ConnectError;
  readonly grpcStatus: Readonly<Record<string, string>>;
  readonly httpStatus: number;
  readonly json: Uint8Array;
  readonly endStream: Uint8Array;
}

const endStream = createEndStreamSerialization(undefined);

/** Answers calls that are not taken on, at the least cost: what is said is made once for each limit. */
export class RefusedCalls {
  readonly #presentError: PresentError;
  readonly #refusals = new Map<Limit, Refusal>();

  constructor(presentError: PresentError) {
    this.#presentError = presentError;
  }

  /** Returns what the caller is told. */
  answer(exchange: Exchange, limit: Limit): ConnectError {
    const refusal = this.#refusalFor(limit);
    const contentType = exchange.header("content-type") ?? "";
    answerWith(refusal, exchange, contentType, protocolOf(contentType));
    return refusal.error;
  }

  #refusalFor(limit: Limit): Refusal {
    let refusal = this.#refusals.get(limit);
    if (refusal === undefined) {
      refusal = refusalOf(this.#presentError(overloaded(limit)));
      this.#refusals.set(limit, refusal);
    }
    return refusal;
  }
}

function answerWith(refusal: Refusal, exchange: Exchange, contentType: string, protocol: Protocol): void {
  if (protocol !== "connect") {
    // The status in the headers and no body: "trailers-only", which both protocols allow.
    exchange.writeHead(200, { "content-type": contentType, ...refusal.grpcStatus });
    exchange.end();
    return;
  }
  const isStream = contentType.startsWith("application/connect+");
  const body = isStream ? refusal.endStream : refusal.json;
  exchange.writeHead(isStream ? 200 : refusal.httpStatus, {
    "content-type": isStream ? contentType : "application/json",
    "content-length": String(body.byteLength),
  });
  if (exchange.method !== "HEAD") void exchange.write(body);
  exchange.end();
}

function refusalOf(error: ConnectError): Refusal {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  return {
    error,
    grpcStatus: plainHeaders(headers),
    httpStatus: codeToHttpStatus(error.code),
    json: errorToJsonBytes(error, undefined),
    endStream: encodeEnvelope(endStreamFlag, endStream.serialize({ metadata: new Headers(), error })),
  };
}
