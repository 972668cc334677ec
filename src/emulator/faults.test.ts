import { expect, it } from "vitest";
import { type Fault, Faults, isCarriedOut } from "./faults.ts";

it("the first fault that fits is met, and another once its count is used up", () => {
  const faults = new Faults();
  faults.add({ id: "one", route: "m2m_tokens.verify", status: 500, count: 2 });
  faults.add({ id: "all", status: 503 });
  const met = ["m2m_tokens.verify", "machines.list", "m2m_tokens.verify", "m2m_tokens.verify"];
  expect(met.map((operation) => faults.take(operation)?.id)).toEqual(["one", "all", "one", "all"]);
});

it("a fault whose chance does not come up is passed over and not counted off", () => {
  const chances = [0.3, 0.29, 0.9];
  const faults = new Faults(() => chances.shift() ?? 1);
  faults.add({ id: "rare", probability: 0.3, count: 1 });
  expect([faults.take("x")?.id, faults.take("x")?.id, faults.take("x")?.id]).toEqual([undefined, "rare", undefined]);
});

it("adding under an id in use replaces, in the same place", () => {
  const faults = new Faults();
  faults.add({ id: "a", status: 500 });
  faults.add({ id: "b", status: 503 });
  faults.add({ id: "a", status: 502 });
  expect(faults.list()).toEqual([
    { id: "a", status: 502 },
    { id: "b", status: 503 },
  ]);
});

it.each<[Fault, boolean]>([
  [{ latency_ms: 5 }, true],
  [{ truncate: 5, headers: {} }, true],
  [{ status: 500 }, false],
  [{ body: "" }, false],
  [{ hang: true }, false],
  [{ reset: true }, false],
  [{ reset: true, execute: true }, true],
  [{ latency_ms: 5, execute: false }, false],
])("a request that meets %j is carried out: %s", (fault, carriedOut) => {
  expect(isCarriedOut(fault)).toBe(carriedOut);
});

it.each<Fault>([
  { id: "a b" },
  { route: "m2m_tokens.nothing" },
  { count: 0 },
  { probability: 0 },
  { latency_ms: -1 },
  { status: 199 },
  { code: "" },
  { headers: { "Transfer-Encoding": "chunked" } },
  { headers: { x: "a\r\nb: c" } },
  { content_type: "a\nb" },
  { truncate: 0.5 },
])("%j is not a fault", (fault) => {
  expect(() => new Faults().add(fault)).toThrow(/^invalid fault: \w+: must be /);
});
