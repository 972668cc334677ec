import { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { fieldOf, type RequestHead } from "../http2/request-head.ts";
import type { ServerStream } from "../http2/server-stream.ts";
import type { AccessControl } from "./access-control.ts";
import { drainingError } from "./call-context.ts";
import type { ObserveCall } from "./call-observer.ts";
import { CallPlace } from "./call-place.ts";
import { CallReporter } from "./call-report.ts";
import { ConsumerInCall } from "./consumer-in-call.ts";
import { plainGrpcHeaders } from "./plain-grpc.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";
import { enter } from "./stream-entry.ts";
import type { StreamLane } from "./stream-lane.ts";
import { AnswerState } from "./verify-answer-bytes.ts";
import { PlainStreamRequestReader } from "./verify-request-bytes.ts";
import { type StreamKit, VerifyStream } from "./verify-stream.ts";
import { MAX_VERDICT_BYTES, StreamAnswers } from "./verify-stream-answers.ts";

const LABELS = {
  service: TokenService.typeName,
  method: TokenService.method.verifyTokenStream.name,
  protocol: "grpc",
} as const;

/** VerifyTokenStream over gRPC. Answers what the handler in verify-token-stream.ts would. */
export class VerifyStreamLane implements StreamLane {
  readonly path = `/${LABELS.service}/${LABELS.method}`;
  readonly #kit: StreamKit;
  readonly #access: AccessControl;
  readonly #observe: ObserveCall;
  readonly #streams = new Map<VerifyStream, CallPlace>();
  readonly #admission: RpcDependencies["admission"];
  #isDraining = false;

  constructor(dependencies: RpcDependencies, access: AccessControl, observe: ObserveCall) {
    this.#access = access;
    this.#observe = observe;
    this.#admission = dependencies.admission;
    this.#kit = {
      dependencies,
      plain: new PlainStreamRequestReader(),
      state: new AnswerState(dependencies),
      answers: new StreamAnswers(),
      maxVerdictBytes: maxVerdictBytes(dependencies.maxMessageBytes),
      onOver: (stream) => this.#remove(stream),
    };
  }

  admits(head: RequestHead): boolean {
    if (this.#isDraining || this.#admission.limitFor(this.path) !== undefined) return false;
    return plainGrpcHeaders(head) !== undefined && fieldOf(head, "grpc-timeout") === undefined;
  }

  serve(stream: ServerStream, leave: (body: Buffer) => void): void {
    const headers = plainGrpcHeaders(stream.head);
    const entry = headers === undefined ? undefined : enter(this.#access, stream, "verify");
    if (headers === undefined || entry === undefined) {
      leave(Buffer.alloc(0));
      return;
    }
    const call = this.#observe(LABELS, (name) => fieldOf(stream.head, name));
    const served = new VerifyStream(this.#kit, stream, headers, new CallReporter(call.onEnd, LABELS), entry);
    this.#streams.set(served, new CallPlace(this.#admission));
    if (call.run !== undefined) stream.consumer = new ConsumerInCall(served, call.run);
    entry.follow((error) => served.finish(error));
  }

  drain(): void {
    this.#isDraining = true;
    for (const stream of this.#streams.keys()) stream.finish(drainingError());
  }

  #remove(stream: VerifyStream): void {
    this.#streams.get(stream)?.free();
    this.#streams.delete(stream);
  }
}

/**
 * The largest verdict that is within the bound of messages in either encoding, without a look at its JSON: that has at most
 * eight times the bytes (a control character in a string takes six for one), and some names.
 */
function maxVerdictBytes(maxMessageBytes: number): number {
  return Math.min(MAX_VERDICT_BYTES, (maxMessageBytes - 1024) / 8);
}
