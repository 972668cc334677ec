/**
 * What many watchers cost and how soon all of them hear of one revocation.
 *
 *     npx tsx bench/watchers.ts [--json]        after npm run build
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { RevocationService } from "../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import type { GatewayProcess } from "../test/faults/gateway-process.ts";
import { bench, mebibytes, percentiles, round } from "./harness.ts";

const CONNECTIONS = 50;
const STREAMS_PER_CONNECTION = 100;
const STREAMS = CONNECTIONS * STREAMS_PER_CONNECTION;
const REVOKES = 10;
const SETTLE_MS = 2_000;

/** Streams that count what each has heard. */
class Audience {
  readonly #sessions: Http2SessionManager[] = [];
  #closed = false;
  #open = 0;
  #heard = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #wake: () => void = () => {};
  failure: unknown;

  open(gateway: GatewayProcess): Promise<void> {
    const opened = this.#until(() => this.#open === STREAMS);
    for (let connection = 0; connection < CONNECTIONS; connection += 1) {
      const sessionManager = new Http2SessionManager(gateway.url);
      const client = createClient(RevocationService, createGrpcTransport({ baseUrl: gateway.url, sessionManager }));
      this.#sessions.push(sessionManager);
      for (let stream = 0; stream < STREAMS_PER_CONNECTION; stream += 1) {
        this.#read(client.watchRevocations({})).catch((error: unknown) => {
          if (this.#closed) return;
          this.failure = error;
          this.#wake();
        });
      }
    }
    return opened;
  }

  /** Resolves when every stream has heard of one revocation more. */
  allHear(): Promise<void> {
    this.#wanted = this.#heard + STREAMS;
    return this.#until(() => this.#heard >= this.#wanted);
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#sessions) session.abort();
  }

  async #read(stream: AsyncIterable<{ readonly event: { readonly case?: string | undefined } }>): Promise<void> {
    for await (const { event } of stream) {
      if (event.case === "snapshotComplete") this.#open += 1;
      else if (event.case === "revocation") this.#heard += 1;
      else continue;
      this.#wake();
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

await bench(async ({ emulator, startGateway }) => {
  // Heartbeats of thousands of streams are no part of what is measured.
  const gateway = await startGateway("a", { GATEWAY_WATCH_HEARTBEAT_MS: "60000" });
  const tokens = [];
  for (let count = 0; count < REVOKES; count += 1) tokens.push(await emulator.mint());
  const beforeBytes = gateway.process.residentBytes();
  const audience = new Audience();
  const openingAtMs = performance.now();
  await audience.open(gateway);
  const openedMs = performance.now() - openingAtMs;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const openBytes = gateway.process.residentBytes();
  const lastHeardMs: number[] = [];
  const ackMs: number[] = [];
  for (const { id } of tokens) {
    const heard = audience.allHear();
    const askedAtMs = performance.now();
    const acknowledged = gateway.tokens.revokeToken({ target: { case: "tokenId", value: id } });
    await Promise.all([heard, acknowledged.then(() => ackMs.push(performance.now() - askedAtMs))]);
    lastHeardMs.push(performance.now() - askedAtMs);
  }
  const { revocations } = await gateway.status.getStatus({});
  audience.close();
  return {
    streams: Number(revocations?.watchers),
    connections: CONNECTIONS,
    opened_in_ms: round(openedMs),
    gateway_rss_before_mib: mebibytes(beforeBytes),
    gateway_rss_open_mib: mebibytes(openBytes),
    memory_per_stream_kib: round((openBytes - beforeBytes) / STREAMS / 1024),
    revokes: REVOKES,
    ...percentiles("acknowledged", ackMs),
    ...percentiles("last_watcher_heard_after_asking", lastHeardMs),
    slow_consumers_cut: Number(revocations?.slowConsumers),
  };
});
