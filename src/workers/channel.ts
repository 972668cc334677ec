/** One end of a way between two processes: what is sent arrives in order, once, or the other process has ended. */
export interface Channel {
  /** Never throws: what cannot be sent is lost, and whoever waits for an answer runs out of time. */
  send(message: object): void;
  /** Returns how to stop. */
  listen(onMessage: (message: unknown) => void): () => void;
}

/** Both ends of a way within this process. As between processes, what is sent arrives in a later turn. */
export function localChannels(): readonly [Channel, Channel] {
  const listeners = [new Set<(message: unknown) => void>(), new Set<(message: unknown) => void>()] as const;
  const endOf = (own: Set<(message: unknown) => void>, other: Set<(message: unknown) => void>): Channel => ({
    send(message) {
      setImmediate(() => {
        for (const listener of [...other]) listener(message);
      });
    },
    listen(onMessage) {
      own.add(onMessage);
      return () => own.delete(onMessage);
    },
  });
  return [endOf(listeners[0], listeners[1]), endOf(listeners[1], listeners[0])];
}

/** What `cluster` gives both sides to talk through. */
interface ClusterWorker {
  send(message: object, callback: (error: Error | null) => void): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
  off(event: "message", listener: (message: unknown) => void): unknown;
}

export function channelOf(worker: ClusterWorker): Channel {
  return {
    // The end of the other process is an event of its own.
    send: (message) => void worker.send(message, () => undefined),
    listen(onMessage) {
      worker.on("message", onMessage);
      return () => worker.off("message", onMessage);
    },
  };
}
