import { ByHand } from "./by-hand.ts";
import { Charts } from "./charts.ts";
import { CallError, Connection } from "./connect.ts";
import { Credential } from "./credential.ts";
import { byId, say } from "./dom.ts";
import { Feed } from "./feed.ts";
import { FeedTable } from "./feed-table.ts";
import { durationText, timeText } from "./format.ts";
import { History } from "./history.ts";
import { type Status, statusOf } from "./status.ts";
import { showTables } from "./tables.ts";
import { startTheme } from "./theme.ts";
import { forgetFreshness, showTiles } from "./tiles.ts";

const STATUS = "m2mgateway.v1.GatewayService/GetStatus";
const POLL_MS = 1_000;
const POLL_TIMEOUT_MS = 4_000;

/** How the page stands with the gateway. */
type Link = "loading" | "live" | "lost" | "refused";

const LINKS: Readonly<Record<Link, string>> = {
  loading: "Loading",
  live: "● Live",
  lost: "○ Disconnected",
  refused: "✕ No access",
};

/** Asks the gateway once a second and shows what it says. */
class Console {
  readonly #history = new History();
  readonly #charts = new Charts(this.#history);
  readonly #credential = new Credential(() => this.#begin());
  readonly #connection = new Connection(() => this.#credential.key);
  readonly #byHand = new ByHand(this.#connection);
  readonly #feed = new Feed(this.#connection, new FeedTable());
  #link: Link = "loading";
  #lastOkMs: number | undefined;
  #mayAskForKey = true;

  start(): void {
    void this.#feed.follow();
    void this.#poll();
  }

  /** With another key. */
  #begin(): void {
    this.#mayAskForKey = true;
    this.#feed.restart();
  }

  async #poll(): Promise<never> {
    for (;;) {
      const startedAtMs = performance.now();
      try {
        const json = await this.#connection.call(STATUS, {}, AbortSignal.timeout(POLL_TIMEOUT_MS));
        this.#show(statusOf(json));
      } catch (error) {
        this.#showTrouble(error);
      }
      this.#charts.draw(performance.now());
      const restMs = Math.max(100, POLL_MS - (performance.now() - startedAtMs));
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }

  #show(status: Status): void {
    if (this.#link === "lost") this.#feed.restart();
    this.#lastOkMs = Date.now();
    this.#setLink("live", "");
    this.#history.add({ atMs: performance.now(), status });
    say(byId("replica", HTMLElement), status.replica);
    const uptime = durationText(Math.max(0, Date.now() - status.startedAtMs));
    say(byId("build", HTMLElement), `version ${status.version}, up ${uptime}`);
    showTiles(status, this.#history);
    showTables(status, this.#history);
    this.#byHand.allow(status.roles === undefined || status.roles.includes("admin"));
  }

  #showTrouble(error: unknown): void {
    const call = error instanceof CallError ? error : new CallError("unavailable", "", "the gateway does not answer");
    if (call.code === "unauthenticated" || call.code === "permission_denied") {
      this.#setLink("refused", call.message);
      this.#byHand.allow(false);
      if (call.code === "unauthenticated" && this.#mayAskForKey) this.#credential.ask();
      this.#mayAskForKey = false;
      return;
    }
    const since = this.#lastOkMs === undefined ? "" : ` What is shown is as of ${timeText(this.#lastOkMs)}.`;
    forgetFreshness();
    this.#setLink("lost", `The gateway does not answer; asking again every second.${since}`);
  }

  #setLink(link: Link, notice: string): void {
    this.#link = link;
    document.body.dataset.link = link;
    say(byId("link", HTMLElement), LINKS[link]);
    const element = byId("notice", HTMLElement);
    say(element, notice);
    element.hidden = notice === "";
  }
}

startTheme();
new Console().start();
