import type { Channel } from "../../../src/workers/channel.ts";

/** Two ends in one process. What is sent is copied as between processes, and arrives in a later turn. */
export function channelPair(): readonly [Channel, Channel] {
  const left = new Set<(message: unknown) => void>();
  const right = new Set<(message: unknown) => void>();
  return [end(right, left), end(left, right)];
}

function end(outgoing: Set<(message: unknown) => void>, incoming: Set<(message: unknown) => void>): Channel {
  return {
    send(message) {
      const text = JSON.stringify(message);
      setImmediate(() => {
        for (const listener of [...outgoing]) listener(JSON.parse(text));
      });
    },
    listen(onMessage) {
      incoming.add(onMessage);
      return () => incoming.delete(onMessage);
    },
  };
}
