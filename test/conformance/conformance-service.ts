import { setTimeout as delay } from "node:timers/promises";
import {
  create,
  type DescMethodBiDiStreaming,
  type DescMethodClientStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type ConnectRouter, type HandlerContext, type MethodImpl } from "@connectrpc/connect";
import type {
  ErrorToRaise,
  Header,
  StreamDefinition,
  StreamRequest,
  UnaryDefinition,
  UnaryRequest,
} from "./messages.ts";

const PACKAGE = "connectrpc.conformance.v1";

/** Answers may be larger than the requests that the suite has refused. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface ConformanceService {
  readonly routes: (router: ConnectRouter) => void;
  /** Whether the service has raised an error of this code and message: what the suite asked for, word for word. */
  readonly raised: (error: ConnectError) => boolean;
}

/** The service that every implementation under test serves: it does what each request says, and says what it saw. */
export function createConformanceService(registry: Registry): ConformanceService {
  const requestInfo = registry.getMessage(`${PACKAGE}.ConformancePayload.RequestInfo`);
  const service = registry.getService(`${PACKAGE}.ConformanceService`);
  if (requestInfo === undefined || service === undefined) throw new Error("these are not the suite's descriptors");
  const raised = new Set<string>();
  const raise: Raise = (error, seen) => {
    const connectError = new ConnectError(error.message ?? "", error.code);
    const details = [
      ...error.details,
      ...(seen === undefined ? [] : [anyPack(requestInfo, create(requestInfo, seen))]),
    ];
    connectError.details = details.map(({ typeUrl, value }) => ({ type: typeUrl.replace(/^.*\//, ""), value }));
    raised.add(identityOf(connectError));
    return connectError;
  };
  const options = { writeMaxBytes: MAX_ANSWER_BYTES, jsonOptions: { registry } };
  return {
    routes(router) {
      router.rpc(methodOf(service, "unary", "unary"), answerUnary(raise), options);
      router.rpc(methodOf(service, "idempotentUnary", "unary"), answerUnary(raise), options);
      router.rpc(methodOf(service, "clientStream", "client_streaming"), answerClientStream(raise), options);
      router.rpc(methodOf(service, "serverStream", "server_streaming"), answerServerStream(raise), options);
      router.rpc(methodOf(service, "bidiStream", "bidi_streaming"), answerBidiStream(raise), options);
    },
    raised: (error) => raised.has(identityOf(error)),
  };
}

interface MethodOfKind {
  readonly unary: DescMethodUnary;
  readonly client_streaming: DescMethodClientStreaming;
  readonly server_streaming: DescMethodServerStreaming;
  readonly bidi_streaming: DescMethodBiDiStreaming;
}

function methodOf<K extends keyof MethodOfKind>(service: DescService, name: string, kind: K): MethodOfKind[K] {
  const method = service.method[name];
  if (method?.methodKind !== kind) throw new Error(`the suite's service has no such method: ${name}`);
  return method as MethodOfKind[K];
}

function identityOf({ code, rawMessage }: ConnectError): string {
  return `${code} ${rawMessage}`;
}

/** @param seen what to add to the details of the error, if anything */
type Raise = (error: ErrorToRaise, seen: Record<string, unknown> | undefined) => ConnectError;

function answerUnary(raise: Raise): MethodImpl<DescMethodUnary> {
  return async (request, context) =>
    await answerOnce([packed(request, context)], (request as UnaryRequest).responseDefinition, context, raise);
}

function answerClientStream(raise: Raise): MethodImpl<DescMethodClientStreaming> {
  return async (messages, context) => {
    const requests: Any[] = [];
    let definition: UnaryDefinition | undefined;
    for await (const message of messages) {
      if (requests.length === 0) definition = (message as UnaryRequest).responseDefinition;
      requests.push(packed(message, context));
    }
    return await answerOnce(requests, definition, context, raise);
  };
}

async function answerOnce(
  requests: Any[],
  definition: UnaryDefinition | undefined,
  context: HandlerContext,
  raise: Raise,
): Promise<Record<string, unknown>> {
  const requestInfo = seenOf(context, requests);
  setHeaders(context, definition);
  await pause(definition, context);
  if (definition?.response.case === "error") throw raise(definition.response.value, requestInfo);
  const data = definition?.response.case === "responseData" ? definition.response.value : new Uint8Array();
  return { payload: { data, requestInfo } };
}

function answerServerStream(raise: Raise): MethodImpl<DescMethodServerStreaming> {
  return async function* (message, context) {
    const answers = new Answers((message as StreamRequest).responseDefinition, context, raise);
    yield* answers.rest([packed(message, context)]);
  };
}

function answerBidiStream(raise: Raise): MethodImpl<DescMethodBiDiStreaming> {
  return async function* (messages, context) {
    let answers: Answers | undefined;
    let isFullDuplex = false;
    let unanswered: Any[] = [];
    for await (const message of messages) {
      const { responseDefinition, fullDuplex } = message as StreamRequest;
      if (answers === undefined) {
        answers = new Answers(responseDefinition, context, raise);
        isFullDuplex = fullDuplex === true;
      }
      unanswered.push(packed(message, context));
      if (!isFullDuplex) continue;
      if (!answers.hasMore) break;
      yield await answers.next(unanswered);
      unanswered = [];
    }
    if (answers !== undefined) yield* answers.rest(unanswered);
  };
}

function packed(message: Message, { method }: HandlerContext): Any {
  return anyPack(method.input, message);
}

/** The answers that a stream was told to give. */
class Answers {
  readonly #definition: StreamDefinition | undefined;
  readonly #context: HandlerContext;
  readonly #raise: Raise;
  #sent = 0;

  constructor(definition: StreamDefinition | undefined, context: HandlerContext, raise: Raise) {
    this.#definition = definition;
    this.#context = context;
    this.#raise = raise;
    setHeaders(context, definition);
  }

  get hasMore(): boolean {
    return this.#sent < (this.#definition?.responseData.length ?? 0);
  }

  /** @param requests those since the answer before */
  async next(requests: Any[]): Promise<Record<string, unknown>> {
    const data = this.#definition?.responseData[this.#sent];
    const requestInfo = this.#sent === 0 ? seenOf(this.#context, requests) : { requests };
    await pause(this.#definition, this.#context);
    this.#sent += 1;
    return { payload: { data, ...(requests.length === 0 ? {} : { requestInfo }) } };
  }

  /** All that are left, then the error if there is to be one. It says what was seen unless an answer has. */
  async *rest(requests: Any[]): AsyncGenerator<Record<string, unknown>> {
    const isFirst = this.#sent === 0;
    for (let toTell = requests; this.hasMore; toTell = []) yield await this.next(toTell);
    const error = this.#definition?.error;
    if (error !== undefined)
      throw this.#raise(error, isFirst && this.#sent === 0 ? seenOf(this.#context, requests) : undefined);
  }
}

function seenOf(context: HandlerContext, requests: Any[]): Record<string, unknown> {
  const { requestHeader, requestMethod, timeoutMs, url } = context;
  const timeout = timeoutMs();
  const query = [...new URL(url).searchParams].map(([name, value]) => ({ name, value: [value] }));
  return {
    requestHeaders: [...requestHeader].map(([name, value]) => ({ name, value: [value] })),
    requests,
    ...(timeout === undefined ? {} : { timeoutMs: BigInt(Math.round(timeout)) }),
    ...(requestMethod === "GET" ? { connectGetInfo: { queryParams: query } } : {}),
  };
}

function setHeaders(
  { responseHeader, responseTrailer }: HandlerContext,
  definition: UnaryDefinition | StreamDefinition | undefined,
): void {
  append(responseHeader, definition?.responseHeaders ?? []);
  append(responseTrailer, definition?.responseTrailers ?? []);
}

function append(headers: Headers, more: readonly Header[]): void {
  for (const { name, value } of more) {
    for (const one of value) headers.append(name, one);
  }
}

async function pause(definition: { responseDelayMs: number } | undefined, { signal }: HandlerContext): Promise<void> {
  const delayMs = definition?.responseDelayMs ?? 0;
  if (delayMs > 0) await delay(delayMs, undefined, { signal });
}
