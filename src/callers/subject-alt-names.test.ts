import { describe, expect, it } from "vitest";
import { parseSubjectAltNames } from "./subject-alt-names.ts";

describe("a certificate's alternative names", () => {
  it.each([
    ["DNS:orders.example", [], ["orders.example"]],
    ["DNS:Orders.EXAMPLE, URI:spiffe://example/ns/a/sa/b", ["spiffe://example/ns/a/sa/b"], ["orders.example"]],
    ["IP Address:127.0.0.1, DNS:a, email:x@y.example, Registered ID:1.2.3", [], ["a"]],
    ["URI:spiffe://example/A", ["spiffe://example/A"], []],
    ["", [], []],
  ])("are read: %s", (text, uris, dnsNames) => {
    expect(parseSubjectAltNames(text)).toEqual({ uris, dnsNames });
  });

  it.each([
    // CVE-2021-44532: one name that holds what looks like another.
    ['URI:"spiffe://evil/, URI:spiffe://good/"', ["spiffe://evil/, URI:spiffe://good/"], []],
    ['DNS:"evil.example, DNS:good.example"', [], ["evil.example, dns:good.example"]],
    ['DNS:"a\\" , DNS:good"', [], ['a" , dns:good']],
    ['DNS:"good.example\\u0000.evil.example"', [], ["good.example\u0000.evil.example"]],
    ['othername:"<x>, DNS:good.example", DNS:b', [], ["b"]],
  ])("never give a name that stands within another: %s", (text, uris, dnsNames) => {
    expect(parseSubjectAltNames(text)).toEqual({ uris, dnsNames });
  });

  it.each([
    ['DNS:"good.example'],
    ['DNS:evil"good.example"'],
    ['DNS:"evil"good.example'],
    ['DNS:"bad \\x escape"'],
    ['DNS:"a\nb"'],
    ["DNS:a,DNS:b"],
    ["DNS:a, "],
    ["good.example"],
    [", DNS:a"],
    [":a"],
    ["DNS:a; URI:b, x"],
  ])("are none when the text is not wholly understood: %s", (text) => {
    expect(parseSubjectAltNames(text)).toBeUndefined();
  });
});
