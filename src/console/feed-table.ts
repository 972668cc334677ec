import type { CallError } from "./connect.ts";
import { byId, make, say } from "./dom.ts";
import type { FeedEvents, Revocation } from "./feed.ts";
import { countText, momentText, timeText, wordsOf } from "./format.ts";

const MAX_ROWS = 100;
const HOW: Readonly<Record<string, string>> = {
  API: "by RevokeToken",
  OBSERVED: "seen at Clerk",
  RECONCILED: "listed by Clerk",
};

/** The feed's rows, the latest first. */
export class FeedTable implements FeedEvents {
  readonly #body = byId("feed", HTMLElement);
  readonly #state = byId("feed-state", HTMLElement);
  readonly #empty = byId("feed-empty", HTMLElement);
  readonly #known = new Map<string, HTMLElement>();
  #total = 0;
  #note = "";

  onRevocation(revocation: Revocation, isNew: boolean): void {
    // A resumed stream may repeat what it told last.
    if (this.#known.has(revocation.cursor)) return;
    this.#total += 1;
    const row = rowOf(revocation, isNew);
    this.#known.set(revocation.cursor, row);
    this.#body.prepend(row);
    this.#dropOldest();
    if (isNew) this.#tell(`latest at ${timeText(Date.now())}`);
  }

  onSnapshot(size: number): void {
    this.#total = size;
    this.#tell("following");
  }

  onResume(): void {
    this.#tell(`resumed at ${timeText(Date.now())}, nothing missed`);
  }

  onReset(): void {
    for (const row of this.#known.values()) row.remove();
    this.#known.clear();
    this.#total = 0;
    this.#tell(`the log began anew at ${timeText(Date.now())}`);
  }

  onEnd(error: CallError | undefined): void {
    const why = error?.reason ? `: ${wordsOf(error.reason)}` : "";
    this.#tell(`interrupted${why}, resuming`);
  }

  #tell(note: string): void {
    // What a reset means stays said until something newer than the snapshot after it is.
    const isAfterReset = note === "following" && this.#note.startsWith("the log began anew");
    if (!isAfterReset) this.#note = note;
    this.#show();
  }

  #show(): void {
    this.#empty.hidden = this.#known.size > 0;
    say(this.#empty, "No revocations");
    say(this.#state, `${countText(this.#total)} in all · ${this.#note}`);
  }

  #dropOldest(): void {
    if (this.#known.size <= MAX_ROWS) return;
    const [oldest] = this.#known;
    if (oldest === undefined) return;
    oldest[1].remove();
    this.#known.delete(oldest[0]);
  }
}

function rowOf({ tokenId, subject, reason, revokedAtMs, source, origin }: Revocation, isNew: boolean): HTMLElement {
  const row = make("tr", "", { class: isNew ? "new" : "" });
  row.append(
    make("td", momentText(revokedAtMs), { class: "nowrap" }),
    make("td", tokenId, { class: "mono text" }),
    make("td", reason === "" ? "–" : reason, { class: "text" }),
    make("td", subject === "" ? "–" : subject, { class: "mono text spare roomy" }),
    make("td", HOW[source] ?? wordsOf(source), { class: "spare nowrap" }),
    make("td", origin, { class: "text spare" }),
  );
  return row;
}
