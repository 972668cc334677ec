import type { ClientBytes } from "./client-bytes.ts";
import type { Difference } from "./compare.ts";
import type { Playback } from "./playing.ts";
import { TYPE } from "./wire.ts";

/** What was played to both, and what a client saw of the engine and of node:http2. */
export interface Comparison {
  readonly client: ClientBytes;
  readonly ours: Playback;
  readonly theirs: Playback;
}

/** A kind of difference that is right: `why` with the section of RFC 9113 that allows or demands what the engine does. */
interface Accepted {
  readonly why: string;
  covers(difference: Difference, comparison: Comparison): boolean;
}

const CODE = { protocol: 1, streamClosed: 5 } as const;

export function isAccepted(difference: Difference, comparison: Comparison): boolean {
  return ACCEPTED.some((each) => each.covers(difference, comparison));
}

/** By the debug data of our GOAWAY. */
const STRICTER: Readonly<Record<string, string>> = {
  "a frame is too large": "4.2, also of a CONTINUATION",
  "HEADERS on a closed stream": "5.1",
  "more padding than payload": "6.1, also where the frame is ignored",
  "MAX_FRAME_SIZE is out of bounds": "6.5.2, also where the same SETTINGS say better later",
};

/** What the conversations have. */
const PSEUDO_VALUES = /^(?:GET|POST|HEAD|http|localhost|\/|\/m2mgateway\.v1\.\w+\/\w+|\/nothing\/here)$/;

const ACCEPTED: readonly Accepted[] = [
  {
    why:
      "5.4.1: an error of the connection ends it; which answers got out before, with which code it ended, and whether one " +
      "of several faults was found first, is each server's own. An answer that both gave must be the same",
    covers: ({ stream, isAnsweredTwice }, { ours, theirs }) =>
      stream === 0 ? ours.isOver && theirs.isOver : (ours.isOver || theirs.isOver) && !isAnsweredTwice,
  },
  {
    why:
      "5.1, 5.4.2: a frame on a closed stream is an error of the stream or of the connection, and none on one that the " +
      "server has reset. nghttp2 takes it for one of the connection",
    covers: ({ stream }, { ours, theirs }) =>
      stream === 0 &&
      !ours.isOver &&
      theirs.goAway === CODE.streamClosed &&
      [...ours.streams.values()].some(({ reset }) => reset !== undefined),
  },
  {
    why:
      "5.1: DATA after the end of a request, or on a stream that was closed by the opening of a later one, is STREAM_CLOSED. " +
      "nghttp2 ignores it at times, or has answered by then",
    covers: ({ stream, ours }, { client }) => ours === `reset ${CODE.streamClosed}` && client.has(TYPE.data, stream),
  },
  {
    why: "the sections in STRICTER: an error of the connection, which nghttp2 does not look for",
    covers: ({ stream }, { ours, theirs }) => stream === 0 && !theirs.isOver && ours.goAwayText in STRICTER,
  },
  {
    why: "8.1.1, 8.2.1: a request with a forbidden name or value is malformed, PROTOCOL_ERROR. nghttp2 drops the field",
    covers: ({ stream, ours }, { client }) =>
      ours === `reset ${CODE.protocol}` &&
      client
        .fields(stream)
        .some(
          ({ name, value }) =>
            !/^:?[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name) ||
            !/^[\t -~\x80-\xff]*$/.test(value) ||
            /^[\t ]|[\t ]$/.test(value),
        ),
  },
  {
    why:
      "8.3.1: nghttp2 checks which characters stand in :authority, :method, :scheme and :path. They are not used here, but " +
      "for the path and the method, which must be those of an RPC",
    covers: ({ stream, theirs }, { client }) =>
      theirs === `reset ${CODE.protocol}` &&
      client.fields(stream).some(({ name, value }) => name.startsWith(":") && !PSEUDO_VALUES.test(value)),
  },
  {
    why: "5.2: which answer gets how much of a window that is too small for all is the server's choice",
    covers: ({ stream, isAnsweredTwice }, { ours, theirs }) => {
      const [one, other] = [ours.streams.get(stream), theirs.streams.get(stream)];
      if (one?.headers === undefined || other?.headers === undefined || isAnsweredTwice) return false;
      const length = Math.min(one.body.length, other.body.length);
      const isReset = one.reset !== undefined || other.reset !== undefined;
      return !isReset && one.body.subarray(0, length).equals(other.body.subarray(0, length));
    },
  },
  {
    why: "8.1: an answer may come before the end of the request. A call that is answered at once is looked at when it is whole",
    covers: ({ stream, ours, theirs }, { client }) =>
      ours === NOTHING && theirs.startsWith("answered") && !client.ended(stream),
  },
  {
    why:
      "8.1, 8.1.1: a request that contradicts its content-length is malformed, PROTOCOL_ERROR; but it may have been answered " +
      "before that can be told",
    covers: ({ stream, ours, theirs }, { client }) =>
      [ours, theirs].some((each) => each.startsWith("answered")) &&
      [ours, theirs].includes(`reset ${CODE.protocol}`) &&
      client.fields(stream).some(({ name }) => name === "content-length"),
  },
  {
    why: "of two faults in one body the RPC framework finds the one first or the other, by the pieces in which it gets the body",
    covers: ({ ours, theirs }) => [ours, theirs].every((each) => /^answered .*"grpc-status","(?!0")/.test(each)),
  },
  {
    why: "10.5.1: a request whose header section is too large may be answered 431. nghttp2 resets it, or drops fields first",
    covers: ({ stream, ours }, { client }) =>
      ours.startsWith('answered [[[":status","431"]]') &&
      client.fields(stream).reduce((sum, { size }) => sum + size, 0) > 16 * 1024,
  },
  {
    why: "10.5: each has limits of its own to what it takes of what is allowed; nghttp2's is 32 settings in a frame",
    covers: ({ stream }, { ours, theirs }) =>
      stream === 0 && !ours.isOver && theirs.goAwayText === "SETTINGS: too many setting entries",
  },
  {
    why:
      "RFC 9110, 5.3: a field that is no list must not come twice. Its values are joined here, which makes a content type " +
      "that nobody knows; Node takes the first",
    covers: ({ stream }, { client }) => client.fields(stream).filter(({ name }) => name === "content-type").length > 1,
  },
  {
    why: "RFC 9110, 10.1.1: to an expectation that is not known a server MAY say 417. Node does",
    covers: ({ stream, theirs }, { client }) =>
      theirs.includes('[":status","417"]') && client.fields(stream).some(({ name }) => name === "expect"),
  },
  {
    why: "6.8: GOAWAY says that the client takes no more streams of ours, of which there are none. Node closes the connection",
    covers: ({ stream }, { client, ours, theirs }) =>
      stream === 0 && !ours.isOver && theirs.isOver && client.has(TYPE.goAway),
  },
];

/** How a stream is described on which the server has said nothing. */
const NOTHING = 'open [[],"",[]]';
