import { create, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { StructSchema, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { type VerifyPolicy, VerifyPolicySchema } from "../gen/m2mgateway/v1/token_service_pb.ts";
import { GatewayError } from "../token/errors.ts";
import type { Json } from "../token/token.ts";
import { jsonFromStruct, jsonFromValue, valueFromJson } from "./json-value.ts";

/** As it is decoded from the wire, both ways there are. */
function received(json: JsonValue): [string, Value][] {
  const value = fromJson(ValueSchema, json);
  return [
    ["JSON", value],
    ["binary", fromBinary(ValueSchema, toBinary(ValueSchema, value))],
  ];
}

function nested(levels: number): JsonValue {
  let json: JsonValue = 1;
  for (let level = 0; level < levels; level += 1) json = level % 2 === 0 ? { a: json } : [json];
  return json;
}

function violationOf(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    if (error instanceof GatewayError && error.reason === "ARGUMENT_INVALID") return error.facts.violations;
    throw error;
  }
  return undefined;
}

const SAMPLES: Json[] = [
  null,
  true,
  0,
  -1.5,
  "é\u0000",
  [],
  {},
  [1, [null, { a: [] }]],
  { "": 1, constructor: 2, b: { a: "x" } },
];

describe("jsonFromValue", () => {
  it.each(SAMPLES)("reads back what valueFromJson wrote: %j", (json) => {
    const sent = toBinary(ValueSchema, valueFromJson(json));
    expect(jsonFromValue(fromBinary(ValueSchema, sent), "claims")).toEqual(json);
    expect(toJson(ValueSchema, fromBinary(ValueSchema, sent))).toEqual(json);
  });

  it.each(received(JSON.parse(`{"a":{"__proto__":{"x":1}}}`)))("refuses a key __proto__ sent as %s", (_form, value) => {
    expect(violationOf(() => jsonFromValue(value, "claims"))).toEqual([
      { field: "claims", description: "has a key named __proto__" },
    ]);
  });

  it("refuses a key __proto__ that a decoder made the prototype", () => {
    const fields = Object.create({ x: create(ValueSchema) });
    const value = create(ValueSchema, {
      kind: { case: "structValue", value: { $typeName: "google.protobuf.Struct", fields } },
    });
    expect(violationOf(() => jsonFromValue(value, "claims"))).toMatchObject([{ field: "claims" }]);
  });

  it("takes 30 levels and refuses 31", () => {
    for (const [, value] of received(nested(30))) expect(jsonFromValue(value, "claims")).toEqual(nested(30));
    for (const [, value] of received(nested(31))) {
      expect(violationOf(() => jsonFromValue(value, "claims"))).toMatchObject([{ field: "claims" }]);
    }
  });

  it("takes 64 KiB of JSON, counted in UTF-8, and refuses more", () => {
    const largest = "é".repeat((64 * 1024 - 2) / 2);
    expect(jsonFromValue(valueFromJson(largest), "claims")).toBe(largest);
    expect(violationOf(() => jsonFromValue(valueFromJson(`${largest}x`), "claims"))).toMatchObject([
      { field: "claims" },
    ]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("refuses the number %d", (number) => {
    const value = valueFromJson([{ a: number }]);
    expect(violationOf(() => jsonFromValue(value, "claims"))).toMatchObject([{ field: "claims" }]);
  });

  it("refuses a value of no kind at any depth", () => {
    const inner = create(ValueSchema);
    const list = create(ValueSchema, {
      kind: { case: "listValue", value: { $typeName: "google.protobuf.ListValue", values: [inner] } },
    });
    for (const value of [inner, list]) {
      expect(violationOf(() => jsonFromValue(value, "claims"))).toMatchObject([{ field: "claims" }]);
    }
  });
});

describe("jsonFromStruct", () => {
  const policyOf = (claims: JsonValue): VerifyPolicy => {
    const sent = toBinary(VerifyPolicySchema, fromJson(VerifyPolicySchema, { requiredClaims: claims }));
    return fromBinary(VerifyPolicySchema, sent);
  };

  it("reads the members", () => {
    const claims = { role: "admin", tags: ["a", null], limits: { max: 5 } };
    expect(jsonFromStruct(policyOf(claims).requiredClaims ?? {}, "policy.required_claims")).toEqual(claims);
  });

  it.each([
    ["__proto__ at the top", JSON.parse(`{"__proto__":1}`)],
    ["__proto__ inside", JSON.parse(`{"a":[{"__proto__":1}]}`)],
    ["31 levels", { a: nested(30) }],
    ["more than 64 KiB", { a: "x".repeat(64 * 1024) }],
  ])("refuses %s", (_what, claims) => {
    const { requiredClaims } = policyOf(claims);
    expect(violationOf(() => jsonFromStruct(requiredClaims ?? {}, "policy.required_claims"))).toMatchObject([
      { field: "policy.required_claims" },
    ]);
  });

  it("refuses NaN, which binary can carry", () => {
    expect(violationOf(() => jsonFromStruct({ a: Number.NaN }, "f"))).toMatchObject([{ field: "f" }]);
  });
});

describe("valueFromJson", () => {
  it("keeps a key __proto__ a key, in both encodings", () => {
    const json: Json = JSON.parse(`{"__proto__":{"admin":true},"a":1}`);
    const value = valueFromJson(json);
    const text = `{"__proto__":{"admin":true},"a":1}`;
    expect(JSON.stringify(toJson(ValueSchema, value))).toBe(text);
    expect(JSON.stringify(toJson(ValueSchema, fromBinary(ValueSchema, toBinary(ValueSchema, value))))).toBe(text);
    expect(Object.hasOwn(Object.prototype, "admin")).toBe(false);
  });

  it("makes a struct that other code can read", () => {
    const value = valueFromJson({ a: 1 });
    if (value.kind.case !== "structValue") throw new Error("not a struct");
    expect(toJson(StructSchema, value.kind.value)).toEqual({ a: 1 });
  });
});
