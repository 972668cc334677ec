import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { createCallerKey, fingerprintOf } from "./caller-key.ts";
import { Callers } from "./callers.ts";
import { parseCallersFile } from "./callers-file.ts";
import { Peer, type PeerFacts } from "./peer.ts";

const KEY = createCallerKey();
const ORDERS = { name: "orders", roles: ["verify"], keys: [fingerprintOf(KEY)], uris: ["spiffe://a/orders"] };
const BILLING = { name: "billing", roles: ["admin"], dnsNames: ["Billing.internal"], uris: ["spiffe://a/billing"] };

const entriesOf = (...callers: object[]) => parseCallersFile(JSON.stringify({ callers }));

function callersOf(entries = entriesOf(ORDERS, BILLING), demandsLocal = false): Callers {
  return new Callers({ clock: new FakeClock(), entries, demandsLocal });
}

function peerOf(facts: Partial<PeerFacts> = {}): Peer {
  return new Peer({ isLocal: false, address: "192.0.2.1", names: undefined, ...facts });
}

function nameOf(callers: Callers, peer: Peer, authorization?: string): string | undefined {
  return callers.identify(peer.badge(authorization))?.name;
}

describe("a caller is known by", () => {
  it.each([`Bearer ${KEY}`, `bearer ${KEY}`, `BEARER   ${KEY}`])("its key: %#", (authorization) => {
    expect(nameOf(callersOf(), peerOf(), authorization)).toBe("orders");
  });

  it.each([
    ["another key", `Bearer ${createCallerKey()}`],
    ["a key cut short", `Bearer ${KEY.slice(0, -1)}`],
    ["another scheme", `Basic ${KEY}`],
    ["no scheme", KEY],
    ["two keys", `Bearer ${KEY}, Bearer ${KEY}`],
    ["the hash in place of the key", `Bearer ${fingerprintOf(KEY)}`],
    ["nothing", ""],
  ])("nothing when it sends %s, though a certificate or its place would do", (_what, authorization) => {
    const names = { uris: ["spiffe://a/billing"], dnsNames: [] };
    expect(nameOf(callersOf(), peerOf({ isLocal: true, names }), authorization)).toBeUndefined();
  });

  it("no key that a person has thought up, whatever the file says", () => {
    const callers = callersOf(entriesOf({ ...ORDERS, keys: [fingerprintOf("secret")] }));
    expect(nameOf(callers, peerOf(), "Bearer secret")).toBeUndefined();
  });

  it.each([
    ["a URI of its certificate", ["spiffe://a/orders"], [], "orders"],
    ["a DNS name of its certificate", [], ["x.internal", "billing.internal"], "billing"],
    ["two names that are both its own", ["spiffe://a/billing"], ["billing.internal"], "billing"],
    ["no URI in other letters", ["spiffe://a/ORDERS"], [], undefined],
    ["no name of which the file has a part", ["spiffe://a/orders/x"], ["billing.internal.example"], undefined],
    ["no name in the place of another kind", ["billing.internal"], ["spiffe://a/orders"], undefined],
    ["no names of two callers", ["spiffe://a/orders"], ["billing.internal"], undefined],
  ])("%s", (_what, uris, dnsNames, name) => {
    expect(nameOf(callersOf(), peerOf({ names: { uris, dnsNames } }))).toBe(name);
  });

  it("its place, where nobody else can reach the port and nothing more is demanded", () => {
    expect(nameOf(callersOf(), peerOf({ isLocal: true }))).toBe("unnamed");
    expect(nameOf(callersOf(), peerOf())).toBeUndefined();
    expect(nameOf(callersOf(entriesOf(ORDERS), true), peerOf({ isLocal: true }))).toBeUndefined();
  });

  it("nothing at all where callers are not told apart", () => {
    const callers = new Callers({ clock: new FakeClock(), entries: undefined, demandsLocal: true });
    expect(nameOf(callers, peerOf(), "Bearer x")).toBe("unnamed");
    expect(callers.isConfigured).toBe(false);
  });
});

describe("a change of the callers", () => {
  it("takes effect with the next request that shows what earlier ones did", () => {
    const callers = callersOf();
    const badge = peerOf().badge(`Bearer ${KEY}`);
    expect(callers.identify(badge)?.roles.has("mint")).toBe(false);
    callers.replace(entriesOf({ ...ORDERS, roles: ["mint"] }));
    expect([...(callers.identify(badge)?.roles ?? [])]).toEqual(["mint"]);
    callers.replace([]);
    expect(callers.identify(badge)).toBeUndefined();
    callers.replace(entriesOf(ORDERS));
    expect(callers.identify(badge)?.name).toBe("orders");
  });

  it("keeps what a caller of the same name has used up", () => {
    const callers = callersOf(entriesOf({ ...ORDERS, limits: { requestsPerSecond: 1 } }));
    const badge = peerOf().badge(`Bearer ${KEY}`);
    expect(callers.identify(badge)?.allowance.take(1)).toBe(true);
    callers.replace(entriesOf({ ...ORDERS, limits: { requestsPerSecond: 1 } }));
    expect(callers.identify(badge)?.allowance.take(1)).toBe(false);
  });

  it("is told to who listens", () => {
    const callers = callersOf();
    let told = 0;
    callers.onChange(() => {
      told += 1;
    });
    callers.replace([]);
    expect(told).toBe(1);
    expect(callers.uses().map(({ name }) => name)).toEqual(["unnamed"]);
  });
});

it("admin includes every role", () => {
  const caller = callersOf().identify(
    peerOf({ names: { uris: ["spiffe://a/billing"], dnsNames: [] } }).badge(undefined),
  );
  expect([...(caller?.roles ?? [])]).toEqual(["verify", "mint", "revoke", "watch", "admin"]);
});

it("a connection's requests share what they show, for as long as it is the same", () => {
  const peer = peerOf();
  const badge = peer.badge("a");
  expect(peer.badge("a")).toBe(badge);
  expect(peer.badge("b")).not.toBe(badge);
  expect(peer.badge("b").authorization).toBe("b");
});
