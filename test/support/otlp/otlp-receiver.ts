import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";

export type AttributeValue = string | number | boolean;

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 2: of a server; 3: of a client. */
  readonly kind: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** 2: an error. */
  readonly status: number;
  readonly resource: Readonly<Record<string, AttributeValue>>;
}

/** What a collector got over OTLP/HTTP, in protobuf. */
export interface OtlpReceiver extends AsyncDisposable {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
  /** Answered instead of 200 while it is set. */
  status: number | undefined;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders; body: Buffer }[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      requests.push({ path: request.url ?? "", headers: request.headers, body });
      if (receiver.status === undefined) spans.push(...decode(body));
      response.writeHead(receiver.status ?? 200, { "content-type": "application/x-protobuf" });
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    status: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return receiver;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

interface WireKeyValue {
  readonly key: string;
  readonly value?: { readonly value?: string } & Readonly<Record<string, unknown>>;
}

interface WireSpan {
  readonly trace_id: Buffer;
  readonly span_id: Buffer;
  readonly parent_span_id?: Buffer;
  readonly trace_state: string;
  readonly name: string;
  readonly kind: number;
  readonly start_time_unix_nano: string;
  readonly end_time_unix_nano: string;
  readonly attributes?: readonly WireKeyValue[];
  readonly status?: { readonly code: number } | null;
}

interface WireRequest {
  readonly resource_spans?: readonly {
    readonly resource: { readonly attributes?: readonly WireKeyValue[] };
    readonly scope_spans?: readonly { readonly spans?: readonly WireSpan[] }[];
  }[];
}

const service = loadSync(resolve(import.meta.dirname, "trace_service.proto"), {
  keepCase: true,
  longs: String,
  oneofs: true,
  defaults: true,
})["otlp.TraceService"] as ServiceDefinition | undefined;

function decode(body: Buffer): ReceivedSpan[] {
  const { resource_spans = [] } = (service?.Export?.requestDeserialize(body) ?? {}) as WireRequest;
  return resource_spans.flatMap(({ resource, scope_spans = [] }) =>
    scope_spans.flatMap(({ spans = [] }) => spans.map((span) => spanFrom(span, attributesFrom(resource.attributes)))),
  );
}

function spanFrom(span: WireSpan, resource: ReceivedSpan["resource"]): ReceivedSpan {
  const tookNs = BigInt(span.end_time_unix_nano) - BigInt(span.start_time_unix_nano);
  return {
    traceId: span.trace_id.toString("hex"),
    spanId: span.span_id.toString("hex"),
    parentSpanId: span.parent_span_id?.toString("hex") ?? "",
    traceState: span.trace_state,
    name: span.name,
    kind: span.kind,
    durationMs: Number(tookNs) / 1e6,
    attributes: attributesFrom(span.attributes),
    status: span.status?.code ?? 0,
    resource,
  };
}

function attributesFrom(pairs: readonly WireKeyValue[] = []): Record<string, AttributeValue> {
  return Object.fromEntries(
    pairs.map(({ key, value = {} }) => {
      const found = value.value === undefined ? undefined : value[value.value];
      return [key, value.value === "int_value" ? Number(found) : (found as AttributeValue)];
    }),
  );
}
