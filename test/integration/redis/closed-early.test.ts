import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { RedisOptions } from "../../../src/redis/options.ts";
import { Subscription } from "../../../src/redis/subscription.ts";
import { systemClock } from "../../../src/system-clock.ts";

const INFO = "redis_version:7.0.0\r\nloading:0\r\n";

/** What a server says that knows no more than the client library asks at first, and one channel. */
const ANSWERS: Readonly<Record<string, string>> = {
  info: `$${INFO.length}\r\n${INFO}\r\n`,
  client: "+OK\r\n",
  hello: "+OK\r\n",
  subscribe: "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n",
};

/** Takes a subscription on the first connection only. */
async function startServer() {
  let connections = 0;
  const waiting: ((socket: Socket) => void)[] = [];
  const server = createServer((socket) => {
    connections += 1;
    const isFirst = connections === 1;
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      for (const name of commandsIn(data)) {
        if (name !== "subscribe" || isFirst) socket.write(ANSWERS[name] ?? "");
        if (name === "subscribe") for (const resolve of waiting.splice(0)) resolve(socket);
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    /** Resolves with its connection once the next subscription is asked for. */
    subscribed: () => new Promise<Socket>((resolve) => waiting.push(resolve)),
    close: () => server.close(),
  };
}

function commandsIn(data: Buffer): string[] {
  return [...data.toString().matchAll(/(?<=\r\n)[a-z]+(?=\r\n)/gi)].map(([word]) => word.toLowerCase());
}

describe("a subscription", () => {
  it("can be closed before a new connection has taken it, and nothing is rejected where nobody catches it", async () => {
    const server = await startServer();
    const options: RedisOptions = {
      nodes: [{ host: "127.0.0.1", port: server.port }],
      mode: "single",
      scope: "scope",
      hmacKey: "key",
      replica: "replica",
      boundMs: 1_000,
      retentionMs: 60_000,
      commandTimeoutMs: 300,
      verdictBudgetMs: 50,
      verdictTtlMs: 30_000,
      clock: systemClock,
      onEvent: () => undefined,
    };
    const uncaught: unknown[] = [];
    const onUncaught = (reason: unknown) => uncaught.push(reason);
    process.on("unhandledRejection", onUncaught);
    const subscription = new Subscription(options, "ch");
    const first = server.subscribed();
    subscription.open();
    const socket = await first;
    const second = server.subscribed();
    socket.destroy();
    await second;
    await subscription.close();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", onUncaught);
    server.close();
    expect(uncaught).toEqual([]);
  });
});
