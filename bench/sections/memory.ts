import { setTimeout as pause } from "node:timers/promises";
import { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded } from "../kit/statistics.ts";
import { RawConnection } from "../load/raw-connection.ts";
import { Audience, WATCHED_ENV } from "./fanout.ts";
import type { Section } from "./section.ts";

const CONNECTIONS = 2_000;
const STREAM_CONNECTIONS = 100;
const STREAMS_PER_CONNECTION = 50;
/** Until buffers of the opening have been collected, or not. */
const SETTLE_MS = 3_000;

export const memory: Section = {
  name: "memory",
  about: "resident memory of the gateway for each idle connection and each open stream",
  async run({ world, record }) {
    const gateway = await BenchGateway.start(world, { env: WATCHED_ENV });
    const audience = new Audience(world.caller.authorization);
    const connections: RawConnection[] = [];
    const settled = async () => {
      await pause(SETTLE_MS);
      return gateway.child.usage().rssBytes;
    };
    try {
      const emptyBytes = await settled();
      for (let count = 0; count < CONNECTIONS; count += 1) connections.push(await RawConnection.open(gateway.address));
      const connectedBytes = await settled();
      await audience.open(gateway.address, STREAM_CONNECTIONS, STREAMS_PER_CONNECTION);
      const watchedBytes = await settled();
      const streams = STREAM_CONNECTIONS * STREAMS_PER_CONNECTION;
      record.setFigures("memory", {
        rss_started_mib: rounded(emptyBytes / 2 ** 20),
        idle_connections: CONNECTIONS,
        idle_connection_kib: rounded((connectedBytes - emptyBytes) / CONNECTIONS / 1024, 3),
        open_streams: streams,
        open_stream_kib: rounded((watchedBytes - connectedBytes) / streams / 1024, 3),
      });
    } finally {
      audience.close();
      for (const connection of connections) connection.close();
      await gateway.stop();
    }
  },
};
