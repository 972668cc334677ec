import { ConnectError } from "@connectrpc/connect";
import type { Revocation } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import type { GatewayProcess } from "./gateway-process.ts";

const RECONNECT_PAUSE_MS = 50;
const PAGE_SIZE = 1_000;

/** A watcher as users write them: it resumes where it was, and starts over when told to. */
export class Follower {
  readonly gateway: GatewayProcess;
  readonly held = new Set<string>();
  resets = 0;
  reconnects = 0;
  #cursor = "";
  readonly #closing = new AbortController();
  readonly #ended: Promise<void>;

  constructor(gateway: GatewayProcess) {
    this.gateway = gateway;
    this.#ended = this.#follow();
  }

  /** Ids that only one of the two has: the watcher, or the list of its replica; and ids that the watcher should have. */
  async mismatches(acknowledged: ReadonlySet<string>): Promise<string[]> {
    const listed = await this.#list();
    return [
      ...[...this.held].filter((id) => !listed.has(id)).map((id) => `${id} is held and not listed`),
      ...[...listed].filter((id) => !this.held.has(id)).map((id) => `${id} is listed and not held`),
      ...[...acknowledged].filter((id) => !this.held.has(id)).map((id) => `${id} was acknowledged and is not held`),
    ];
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#ended;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
      }
      this.reconnects += 1;
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_PAUSE_MS));
    }
  }

  async #read(signal: AbortSignal): Promise<void> {
    // Without a cursor a snapshot follows, which is all there is.
    if (this.#cursor === "") this.held.clear();
    for await (const { cursor, event } of this.gateway.revocations.watchRevocations(
      { cursor: this.#cursor },
      { signal },
    )) {
      if (event.case === "revocation") this.held.add(whatOf(event.value));
      if (event.case === "reset") {
        this.resets += 1;
        this.held.clear();
        this.#cursor = "";
      }
      if (cursor !== "") this.#cursor = cursor;
    }
  }

  async #list(): Promise<Set<string>> {
    const ids = new Set<string>();
    let pageToken = "";
    do {
      const page = await this.gateway.revocations.listRevocations({ pageSize: PAGE_SIZE, pageToken });
      for (const revocation of page.revocations) ids.add(whatOf(revocation));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return ids;
  }
}

/** A watermark stands for all lower ones of its machine. */
function whatOf({ tokenId, subject }: Revocation): string {
  return tokenId === "" ? subject : tokenId;
}
