/** One HTTP request and the place for its answer, whatever carries the two. */
export interface Exchange {
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly method: string;
  /** As the caller sent it, with the query. */
  readonly target: string;
  /** The value of a header, those of a repeated one joined; `undefined` when there is none. */
  header(lowerCaseName: string): string | undefined;
  /**
   * All headers but the pseudo-headers.
   *
   * @throws TypeError when a value is none that the fetch API's Headers allow
   */
  headers(): Headers;
  /**
   * The next piece of the body, `undefined` at its end. Rejects when the caller went away before the end. For one reader,
   * which waits for a piece before it asks for another; it may leave the last one unread for ever.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Says, after `end`, that nobody reads the rest of the body. A caller may still be sending when it has its answer: what
   * comes within `limitMs` is read and dropped, because a client whose request is cut off may well drop the answer with
   * it; after that the caller is told to stop, over HTTP/1.1 by the loss of its connection.
   *
   * @param endless the body may have no end: over HTTP/2 the caller is told to stop (RFC 9113, 8.1) as soon as the answer is
   *   on its way
   */
  discardRest(limitMs: number, endless: boolean): void;
  /** Once, before all that follows. Nothing need be sent before the first piece of the body, or the end. */
  writeHead(status: number, headers: Record<string, string>): void;
  /**
   * Pieces are sent in the order of the calls, also when a call is not waited for. Resolves once there is room for more,
   * with `false` when nobody reads any more. Never rejects.
   */
  write(piece: Uint8Array): Promise<boolean>;
  /** After the last piece. */
  end(trailers?: Record<string, string>): void;
  /** Breaks the answer off, so that the caller can tell that it is not whole. */
  destroy(): void;
  /** Calls `listener` once, when nobody waits for the answer any more; perhaps also when all of it is out. */
  onClose(listener: () => void): void;
  /** Calls `listener` once nothing of the exchange is left to send or to receive: at once, if that is so already. */
  whenOver(listener: () => void): void;
  /** Whether nobody reads the answer any more. */
  readonly isClosed: boolean;
}

/** The target's path alone, as RPCs are named by it. */
export function pathOf({ target }: Exchange): string {
  const end = target.indexOf("?");
  return end === -1 ? target : target.slice(0, end);
}

/** The form in which an exchange takes headers. */
export function plainHeaders(headers: Headers | undefined): Record<string, string> {
  return headers === undefined ? {} : Object.fromEntries(headers);
}
