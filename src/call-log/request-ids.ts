import { randomBytes } from "node:crypto";
import { scrub } from "../logger/scrub.ts";

/** Short, of characters that need no escape anywhere. */
const FORM = /^[\w.:-]{1,64}$/;

/** Names calls. Without chance, and so without cost, but for the prefix that tells processes apart. */
export class RequestIds {
  readonly #prefix = randomBytes(6).toString("hex");
  #made = 0;

  /** What the caller calls its request, or a new name where it gives none, or none that is fit for a log. */
  of(given: string | undefined): string {
    if (given !== undefined && FORM.test(given) && scrub(given) === given) return given;
    this.#made += 1;
    return `${this.#prefix}-${this.#made.toString(36)}`;
  }
}
