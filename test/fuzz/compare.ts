import type { Playback } from "./playing.ts";
import type { StreamView } from "./strict-peer.ts";

/** What a client would see otherwise of the one server than of the other. */
export interface Difference {
  /** 0: the connection. */
  readonly stream: number;
  readonly ours: string;
  readonly theirs: string;
  /** Whether both have given a whole answer. */
  readonly isAnsweredTwice: boolean;
}

/** @param except streams that the client reset itself: how far their answers came is chance */
export function differencesOf(ours: Playback, theirs: Playback, except: ReadonlySet<number>): Difference[] {
  const ids = new Set([...ours.streams.keys(), ...theirs.streams.keys()]);
  const streams = [...ids].sort((a, b) => a - b).filter((id) => !except.has(id));
  const pairs = streams.map((stream) => ({
    stream,
    ours: describe(ours.streams.get(stream)),
    theirs: describe(theirs.streams.get(stream)),
    isAnsweredTwice: [ours, theirs].every(({ streams }) => streams.get(stream)?.isComplete === true),
  }));
  const connection = { stream: 0, ours: endOf(ours), theirs: endOf(theirs), isAnsweredTwice: false };
  return [connection, ...pairs].filter((pair) => pair.ours !== pair.theirs);
}

function describe(view: StreamView | undefined): string {
  // A reset after the end of the answer says only that the rest of the request is not wanted (RFC 9113, 8.1).
  if (view?.isComplete !== true && view?.reset !== undefined) return `reset ${view.reset}`;
  const answer = JSON.stringify([sorted(view?.headers), view?.body.toString("latin1") ?? "", sorted(view?.trailers)]);
  return `${view?.isComplete === true ? "answered" : "open"} ${answer}`;
}

function endOf({ isOver, goAway }: Playback): string {
  if (!isOver) return "open";
  return goAway === undefined ? "closed" : `closed with GOAWAY ${goAway}`;
}

function sorted(fields: StreamView["headers"]): readonly (readonly [string, string])[] {
  const compared = (fields ?? []).filter(([name]) => name !== "date");
  return compared.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}
