import { randomUUID } from "node:crypto";
import { InvalidInput } from "./invalid-input.ts";
import { isJsonObject } from "./json.ts";
import { OPERATIONS } from "./router.ts";

/**
 * Something to go wrong with a request. Keys are spelled as on the control API.
 *
 * A request meets at most one fault: the first, in the order they were added, whose route it is and whose chance comes
 * up. `hang`, `reset`, `status`, `code` and `body` replace the request's execution, unless `execute` is true:
 * then the request takes effect and only its answer is lost or replaced.
 */
export interface Fault {
  /** Generated when not given. Adding a fault under an id in use replaces that fault. */
  readonly id?: string;
  /** An operation, such as `m2m_tokens.verify`, or `*`, the default. */
  readonly route?: string;
  /** Requests it strikes before it removes itself; not given: any number. */
  readonly count?: number;
  /** Chance that it strikes a request, above 0 and at most 1; 1 when not given. */
  readonly probability?: number;
  /** Milliseconds, at most 600000, from the request's arrival to all else. */
  readonly latency_ms?: number;
  /** Milliseconds, at most 600000, by which the answer is late: what it says was true when the request was carried out. */
  readonly answer_latency_ms?: number;
  /** Status to answer with, 200 to 599. Without `body`, the answer is the error that goes with it. */
  readonly status?: number;
  /** Error code to answer with; its usual status when `status` is not given. */
  readonly code?: string;
  /** Headers to add to the answer, such as `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Body to answer with as it is; status 200 when none is given. */
  readonly body?: string;
  /** Of `body`; `application/json` when not given. */
  readonly content_type?: string;
  /** Bytes of the answer's body to send before the connection is closed. */
  readonly truncate?: number;
  /** Resets the connection instead of answering. */
  readonly reset?: boolean;
  /** Never answers. */
  readonly hang?: boolean;
  /** Whether the request is carried out first. */
  readonly execute?: boolean;
}

export type ActiveFault = Fault & { readonly id: string };

/** The faults that requests may meet. */
export class Faults {
  #active: ActiveFault[] = [];
  readonly #chance: () => number;

  constructor(chance: () => number = Math.random) {
    this.#chance = chance;
  }

  /**
   * @returns the fault's id
   * @throws InvalidInput naming every problem
   */
  add(fault: Fault): string {
    assertFault(fault);
    const id = fault.id ?? randomUUID();
    const index = this.#active.findIndex((present) => present.id === id);
    if (index === -1) this.#active.push({ ...fault, id });
    else this.#active[index] = { ...fault, id };
    return id;
  }

  /** Whether there was such a fault. */
  remove(id: string): boolean {
    const before = this.#active.length;
    this.#active = this.#active.filter((fault) => fault.id !== id);
    return this.#active.length < before;
  }

  clear(): void {
    this.#active = [];
  }

  /** As they stand: `count` is what is left of it. */
  list(): readonly ActiveFault[] {
    return this.#active;
  }

  /** The fault that a request for `operation` meets, counted off. */
  take(operation: string): ActiveFault | undefined {
    const fault = this.#active.find(
      ({ route = "*", probability = 1 }) =>
        (route === "*" || route === operation) && (probability >= 1 || this.#chance() < probability),
    );
    if (fault?.count === undefined) return fault;
    const left = fault.count - 1;
    if (left === 0) this.remove(fault.id);
    else this.#active = this.#active.map((each) => (each === fault ? { ...fault, count: left } : each));
    return fault;
  }
}

/** Whether the request is carried out although it meets the fault. */
export function isCarriedOut(fault: Fault): boolean {
  const replaced = fault.hang || fault.reset || [fault.status, fault.code, fault.body].some((it) => it !== undefined);
  return fault.execute ?? !replaced;
}

type Check = readonly [isRight: (value: unknown) => boolean, expected: string];

const CHECKS: Readonly<Record<keyof Fault, Check>> = {
  id: [(value) => typeof value === "string" && /^[\w-]{1,64}$/.test(value), "1 to 64 letters, digits, - and _"],
  route: [(value) => value === "*" || OPERATIONS.some((name) => name === value), `* or ${OPERATIONS.join(", ")}`],
  count: whole(1, 1_000_000_000),
  probability: [(value) => typeof value === "number" && value > 0 && value <= 1, "a number above 0, at most 1"],
  latency_ms: whole(0, 600_000),
  answer_latency_ms: whole(0, 600_000),
  status: whole(200, 599),
  code: [(value) => typeof value === "string" && value !== "", "text"],
  headers: [isHeaders, "an object of header names and texts; content-length and transfer-encoding cannot be set"],
  body: [(value) => typeof value === "string", "text"],
  content_type: [(value) => typeof value === "string" && isHeaders({ x: value }), "text"],
  truncate: whole(0, 1_000_000_000),
  reset: [(value) => typeof value === "boolean", "true or false"],
  hang: [(value) => typeof value === "boolean", "true or false"],
  execute: [(value) => typeof value === "boolean", "true or false"],
};

/** @throws InvalidInput naming every problem */
export function assertFault(value: unknown): asserts value is Fault {
  if (!isJsonObject(value)) throw new InvalidInput("fault", ["must be an object"]);
  const problems = Object.entries(value).flatMap(([key, given]) => {
    if (!Object.hasOwn(CHECKS, key)) return [`${key}: is not a field of a fault`];
    const [isRight, expected] = CHECKS[key as keyof Fault];
    return isRight(given) ? [] : [`${key}: must be ${expected}`];
  });
  if (problems.length > 0) throw new InvalidInput("fault", problems);
}

function whole(min: number, max: number): Check {
  const isRight = (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
  return [isRight, `a whole number from ${min} to ${max}`];
}

function isHeaders(value: unknown): boolean {
  if (!isJsonObject(value)) return false;
  return Object.entries(value).every(
    ([name, text]) =>
      /^[\w-]+$/.test(name) &&
      !["content-length", "transfer-encoding"].includes(name.toLowerCase()) &&
      typeof text === "string" &&
      /^[\t\x20-\x7e]*$/.test(text),
  );
}
