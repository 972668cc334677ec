import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Caller } from "./caller.ts";
import { type AltNames, parseSubjectAltNames } from "./subject-alt-names.ts";

export interface PeerFacts {
  /** It reached a port that only this machine can reach. */
  readonly isLocal: boolean;
  /** For people; empty where there is none, as on a Unix socket. */
  readonly address: string;
  /** Of a certificate that an authority of ours vouches for; `undefined` when none was shown. */
  readonly names: AltNames | undefined;
}

/** The other end of one connection. */
export class Peer {
  readonly facts: PeerFacts;
  #badge: Badge | undefined;

  constructor(facts: PeerFacts) {
    this.facts = facts;
  }

  /** What a request shows of its caller. The same object for as long as requests show the same. */
  badge(authorization: string | undefined): Badge {
    if (this.#badge === undefined || this.#badge.authorization !== authorization) {
      this.#badge = new Badge(this.facts, authorization);
    }
    return this.#badge;
  }
}

/** What requests of one connection show of their caller, and whom that was found to be. */
export class Badge {
  readonly peer: PeerFacts;
  /** The header's value, a secret. */
  readonly authorization: string | undefined;
  // The rest is the directory's.
  /** As of which state of the directory `caller` is right. */
  generation = -1;
  caller: Caller | undefined;

  constructor(peer: PeerFacts, authorization: string | undefined) {
    this.peer = peer;
    this.authorization = authorization;
  }
}

export type PeerOf = (socket: Socket) => Peer;

/**
 * Tells the peers of one port's connections apart.
 *
 * @param isLocal whether nobody but this machine can reach the port. Not to be told by a connection's own address: a proxy
 *   on this machine has a local one, whomever it speaks for.
 */
export function createPeers(isLocal: boolean): PeerOf {
  const peers = new WeakMap<Socket, Peer>();
  return (socket) => {
    let peer = peers.get(socket);
    if (peer === undefined) {
      peer = new Peer({ isLocal, address: socket.remoteAddress ?? "", names: namesOf(socket) });
      peers.set(socket, peer);
    }
    return peer;
  };
}

function namesOf(socket: Socket): AltNames | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const text = socket.getPeerX509Certificate()?.subjectAltName;
  return text === undefined ? undefined : parseSubjectAltNames(text);
}
