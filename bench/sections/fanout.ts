import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { TokenService } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { Address } from "../kit/address.ts";
import { BenchGateway } from "../kit/bench-gateway.ts";
import { framed } from "../kit/material.ts";
import { rounded, summarize } from "../kit/statistics.ts";
import { RawConnection, type Receiver } from "../load/raw-connection.ts";
import { grpcHeaderBlock } from "../load/raw-frames.ts";
import type { Section } from "./section.ts";

const WATCH = "/m2mgateway.v1.RevocationService/WatchRevocations";
const CONNECTIONS = 100;
const STREAMS_PER_CONNECTION = 50;
const REVOKES = 20;
const WAIT_MS = 30_000;

/** For thousands of watchers, whose heartbeats are no part of what is measured. */
export const WATCHED_ENV = { GATEWAY_WATCH_HEARTBEAT_MS: "60000", GATEWAY_MAX_WATCHERS: "10000" };

/** Streams of revocations that count what they hear. */
export class Audience {
  readonly #head: Buffer;
  readonly #connections: RawConnection[] = [];
  #streams = 0;
  #opened = 0;
  #heard = 0;
  #id = Buffer.alloc(0);
  #wake = () => {};
  #failure: Error | undefined;

  constructor(authorization: string) {
    this.#head = grpcHeaderBlock(WATCH, authorization);
  }

  /** Opens streams and waits until each has had its first message: the end of the snapshot of an empty log. */
  async open(address: Address, connections: number, streamsPerConnection: number): Promise<void> {
    this.#streams = connections * streamsPerConnection;
    for (let count = 0; count < connections; count += 1) {
      const connection = await RawConnection.open(address);
      connection.onFailure = (error) => this.#fail(error);
      this.#connections.push(connection);
      for (let stream = 0; stream < streamsPerConnection; stream += 1) {
        connection.call(this.#head, framed(Buffer.alloc(0)), this.#receiver());
      }
    }
    await this.#until(() => this.#opened === this.#streams);
  }

  /** Resolves when every stream has heard that the token was revoked. */
  async allHear(tokenId: string): Promise<void> {
    this.#id = Buffer.from(tokenId);
    this.#heard = 0;
    await this.#until(() => this.#heard === this.#streams);
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** A frame holds a whole message: events are short, and windows never close. */
  #receiver(): Receiver {
    let isOpen = false;
    return {
      data: (payload) => {
        if (!isOpen) {
          isOpen = true;
          this.#opened += 1;
        }
        if (this.#id.length > 0 && payload.includes(this.#id)) this.#heard += 1;
        if (this.#heard === this.#streams || this.#opened === this.#streams) this.#wake();
      },
      end: () => this.#fail(new Error("a stream ended")),
    };
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #until(condition: () => boolean): Promise<void> {
    const deadline = setTimeout(() => this.#fail(new Error("not all streams heard in time")), WAIT_MS);
    try {
      while (!condition()) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(deadline);
    }
  }
}

export const fanout: Section = {
  name: "fanout",
  about: `one revocation to ${CONNECTIONS * STREAMS_PER_CONNECTION} watchers on ${CONNECTIONS} connections`,
  async run({ world, record }) {
    const { authorization } = world.caller;
    const gateway = await BenchGateway.start(world, { env: WATCHED_ENV });
    const audience = new Audience(authorization);
    const sessionManager = new Http2SessionManager(`http://${gateway.address.text}`);
    try {
      const baseUrl = `http://${gateway.address.text}`;
      const tokens = createClient(TokenService, createGrpcTransport({ baseUrl, sessionManager }));
      const headers = { authorization };
      const startedAtMs = performance.now();
      await audience.open(gateway.address, CONNECTIONS, STREAMS_PER_CONNECTION);
      const openedMs = performance.now() - startedAtMs;
      const [lastMs, afterAckMs]: number[][] = [[], []];
      for (let count = 0; count < REVOKES; count += 1) {
        const value = await world.emulator.mint();
        const askedAtMs = performance.now();
        const heard = audience.allHear(value).then(() => performance.now());
        const acknowledged = tokens
          .revokeToken({ target: { case: "tokenId", value } }, { headers })
          .then(() => performance.now());
        const [heardAtMs, ackAtMs] = await Promise.all([heard, acknowledged]);
        lastMs?.push(heardAtMs - askedAtMs);
        afterAckMs?.push(Math.max(0, heardAtMs - ackAtMs));
      }
      const fromAsking = summarize(lastMs ?? []);
      record.setFigures("fanout", {
        streams: CONNECTIONS * STREAMS_PER_CONNECTION,
        connections: CONNECTIONS,
        all_open_after_ms: rounded(openedMs),
        last_heard_after_asking_median_ms: rounded(fromAsking.median),
        last_heard_after_asking_max_ms: rounded(fromAsking.max),
        last_heard_after_acknowledged_median_ms: rounded(summarize(afterAckMs ?? []).median),
      });
    } finally {
      audience.close();
      sessionManager.abort();
      await gateway.stop();
    }
  },
};
