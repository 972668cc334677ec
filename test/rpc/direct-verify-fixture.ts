import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { expect } from "vitest";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { AccessControl } from "../../src/rpc/access-control.ts";
import { DirectVerify } from "../../src/rpc/direct-verify.ts";
import { outcomeInterceptor } from "../../src/rpc/outcome-interceptor.ts";
import type { OwnKeys } from "../../src/rpc/own-key.ts";
import type { RpcServer, RpcServerOptions } from "../../src/rpc/rpc-server.ts";
import { createValidateInterceptor } from "../../src/rpc/validate-interceptor.ts";
import { createVerifyToken } from "../../src/rpc/verify-token.ts";
import type { Domain } from "../support/domain.ts";
import type { VerifyCall } from "../support/scripted-upstream.ts";
import { eventually, type FakeGateway, startFakeGateway, VERIFY } from "./fake-gateway.ts";

export const MAX_BYTES = 20_000;

export interface Ask {
  readonly http: "1.1" | "2";
  readonly headers: Readonly<Record<string, string>>;
  /** Written one after the other; without an end when the last is `undefined`. */
  readonly pieces: readonly (Uint8Array | undefined)[];
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly trailers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

export interface TwinOptions {
  readonly access?: AccessControl;
  readonly ownKeys?: OwnKeys;
  readonly maxMessageBytes?: number;
  readonly options?: Partial<RpcServerOptions>;
}

/** One domain behind two servers: one that serves VerifyToken directly where it can, and one that has the framework alone. */
export class Twins implements AsyncDisposable {
  readonly domain: Domain;
  readonly direct: FakeGateway;
  readonly framework: FakeGateway;
  readonly #counts: { direct: number; handled: number };

  constructor(
    domain: Domain,
    [direct, framework]: readonly [FakeGateway, FakeGateway],
    counts: { direct: number; handled: number },
  ) {
    this.domain = domain;
    this.direct = direct;
    this.framework = framework;
    this.#counts = counts;
  }

  /** Calls so far that were served without the framework. */
  get directCount(): number {
    return this.#counts.direct;
  }

  /** Calls so far that the first server's framework handed to the handler all the same. */
  get handledCount(): number {
    return this.#counts.handled;
  }

  /**
   * Asks both at once and demands answers and reports that no client and no operator can tell apart.
   *
   * @param isDirect whether the first is to answer without the framework
   * @param upstream answers the one question that both wait for
   */
  async same(ask: Ask, isDirect: boolean, upstream?: (call: VerifyCall) => void): Promise<Answer> {
    const { directCount, handledCount, domain } = this;
    const joinedBefore = domain.verifier.joinedCount;
    for (const { reports } of [this.direct, this.framework]) reports.length = 0;
    const answers = Promise.all([exchange(this.direct.server, ask), exchange(this.framework.server, ask)]);
    if (upstream !== undefined) {
      await eventually(() => domain.verifier.joinedCount === joinedBefore + 1);
      upstream(domain.upstream.nextVerify());
    }
    const [direct, framework] = await answers;
    expect(comparable(direct)).toEqual(comparable(framework));
    expect(this.directCount - directCount).toBe(isDirect ? 1 : 0);
    if (isDirect) expect(this.handledCount).toBe(handledCount);
    await this.sameReports();
    return direct;
  }

  /** Demands that both have reported the same calls, each once. */
  async sameReports(): Promise<void> {
    const { direct, framework } = this;
    await eventually(() => framework.reports.length > 0 && direct.reports.length > 0);
    await eventually(() => framework.reports.length === direct.reports.length);
    expect(this.reports()).toEqual(labelsOf(framework));
  }

  reports() {
    return labelsOf(this.direct);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.direct[Symbol.asyncDispose]();
    await this.framework[Symbol.asyncDispose]();
  }
}

export async function startTwins(
  domain: Domain,
  { access, ownKeys, maxMessageBytes = MAX_BYTES, options }: TwinOptions = {},
) {
  const dependencies = { ...domain, isDegraded: () => false, maxMessageBytes };
  const verifyToken = createVerifyToken(dependencies);
  const served = new DirectVerify(dependencies);
  const counts = { direct: 0, handled: 0 };
  const counting = {
    path: served.path,
    answer(call: Parameters<DirectVerify["answer"]>[0]) {
      const answer = served.answer(call);
      if (answer !== undefined) counts.direct += 1;
      return answer;
    },
  };
  const common = {
    ...{ access, ownKeys, maxMessageBytes },
    interceptors: [outcomeInterceptor, createValidateInterceptor()],
    ...options,
  };
  const direct = await startFakeGateway({
    routes(router) {
      router.service(TokenService, {
        verifyToken(request, context) {
          counts.handled += 1;
          return verifyToken(request, context);
        },
      });
    },
    options: { ...common, directs: [counting] },
  });
  const framework = await startFakeGateway({
    routes: (router) => {
      router.service(TokenService, { verifyToken });
    },
    options: common,
  });
  return new Twins(domain, [direct, framework], counts);
}

export function exchange(server: RpcServer, ask: Ask): Promise<Answer> {
  return ask.http === "2" ? overHttp2(server, ask) : overHttp1(server, ask);
}

/** Asks and goes away when told to, whatever has come by then. */
export function open({ url }: RpcServer, { http: version, headers, pieces }: Ask): () => void {
  if (version === "1.1") {
    const request = http.request(`${url}${VERIFY}`, { method: "POST", headers: { ...headers }, agent: false });
    request.on("error", () => undefined);
    void send(request, pieces);
    return () => request.destroy();
  }
  const session = http2.connect(url);
  const stream = session.request({ ":method": "POST", ":path": VERIFY, ...headers });
  stream.on("error", () => undefined);
  void send(stream, pieces);
  return () => {
    // To take a request back, Node's client would first end it.
    if (pieces.at(-1) === undefined) session.destroy();
    stream.close(http2.constants.NGHTTP2_CANCEL);
    session.close();
  };
}

async function overHttp1(server: RpcServer, { headers, pieces }: Ask): Promise<Answer> {
  const request = http.request(`${server.url}${VERIFY}`, { method: "POST", headers: { ...headers }, agent: false });
  // An answer that comes before the end of the request may cost it its connection.
  request.on("error", () => undefined);
  request.flushHeaders();
  const responded = once(request, "response");
  await send(request, pieces);
  const [response]: http.IncomingMessage[] = await responded;
  if (response === undefined) throw new Error("no answer");
  const body = await bodyOf(response);
  request.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, trailers: response.trailers, body };
}

async function overHttp2(server: RpcServer, { headers, pieces }: Ask): Promise<Answer> {
  const session = http2.connect(server.url);
  try {
    const stream = session.request({ ":method": "POST", ":path": VERIFY, ...headers });
    stream.on("error", () => undefined);
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on("trailers", (received) => {
      trailers = received;
    });
    const responded = once(stream, "response");
    await send(stream, pieces);
    const [head]: http2.IncomingHttpHeaders[] = await responded;
    const body = await bodyOf(stream);
    return { status: Number(head?.[":status"]), headers: { ...head }, trailers: { ...trailers }, body };
  } finally {
    session.destroy();
  }
}

async function send(target: http.ClientRequest | http2.ClientHttp2Stream, pieces: Ask["pieces"]): Promise<void> {
  for (const piece of pieces) {
    if (piece !== undefined) target.write(piece);
    // So that each is sent by itself.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (pieces.at(-1) !== undefined || pieces.length === 0) target.end();
}

async function bodyOf(readable: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The status of gRPC may come in the headers alone or in trailers: that is one and the same to clients. */
function comparable({ status, headers, trailers, body }: Answer) {
  const { date: _, ...head } = headers;
  const {
    "grpc-status": code,
    "grpc-message": message,
    "grpc-status-details-bin": details,
  } = { ...headers, ...trailers };
  if (code !== undefined && code !== "0") return { status, code, message, details, body };
  return { status, headers: head, trailers, body };
}

function labelsOf({ reports }: FakeGateway) {
  return reports.map(({ service, method, protocol, code, reason, outcome }) => ({
    ...{ service, method, protocol, code, reason, outcome },
  }));
}
