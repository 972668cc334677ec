import { create, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { NullValue, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { GatewayError } from "../token/errors.ts";
import type { Json } from "../token/token.ts";

/** How deeply arrays and objects may nest: `{}` is one level. */
const MAX_DEPTH = 30;

/** Of the compact JSON text, in UTF-8. */
const MAX_JSON_BYTES = 64 * 1024;

const PROTO = "__proto__";

/**
 * What a caller sent in a field of type google.protobuf.Value.
 *
 * @param field its name, for violations
 * @throws GatewayError ARGUMENT_INVALID when it is more than 30 levels deep, larger than 64 KiB, has a key `__proto__`, a
 *   number that JSON does not know, or a value of no kind
 */
export function jsonFromValue(value: Value, field: string): Json {
  return checkSize(fromValue(value, field, 0), field);
}

/** As `jsonFromValue`, for a field of type google.protobuf.Struct. */
export function jsonFromStruct(struct: JsonObject, field: string): { readonly [key: string]: Json } {
  return checkSize(fromObject(struct, field, 1, fromJsonValue), field);
}

/** An own key `__proto__`, which upstream JSON may hold, stays a key. */
export function valueFromJson(json: Json): Value {
  return create(ValueSchema, { kind: kindOf(json) });
}

type FromMember<T> = (value: T, field: string, depth: number) => Json;

function fromValue({ kind }: Value, field: string, depth: number): Json {
  switch (kind.case) {
    case "nullValue":
      return null;
    case "boolValue":
      return kind.value;
    case "stringValue":
      return checkText(kind.value, field);
    case "numberValue":
      return checkNumber(kind.value, field);
    case "listValue":
      return fromArray(kind.value.values, field, depth + 1, fromValue);
    case "structValue":
      return fromObject(kind.value.fields, field, depth + 1, fromValue);
    case undefined:
      throw invalid(field, "holds a value of no kind: null must be said");
  }
}

function fromJsonValue(value: JsonValue, field: string, depth: number): Json {
  if (typeof value === "number") return checkNumber(value, field);
  if (typeof value === "string") return checkText(value, field);
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value)
    ? fromArray(value, field, depth + 1, fromJsonValue)
    : fromObject(value, field, depth + 1, fromJsonValue);
}

function fromArray<T>(values: readonly T[], field: string, depth: number, fromMember: FromMember<T>): Json[] {
  checkDepth(depth, field);
  return values.map((value) => fromMember(value, field, depth));
}

function fromObject<T>(
  members: { readonly [key: string]: T },
  field: string,
  depth: number,
  fromMember: FromMember<T>,
): { [key: string]: Json } {
  checkDepth(depth, field);
  // Whether a decoder made the key an own property or the prototype, it was sent.
  const prototype: unknown = Object.getPrototypeOf(members);
  if (Object.hasOwn(members, PROTO) || (prototype !== Object.prototype && prototype !== null)) {
    throw invalid(field, "has a key named __proto__");
  }
  const object: { [key: string]: Json } = {};
  for (const [key, member] of Object.entries(members)) {
    object[checkText(key, field)] = fromMember(member, field, depth);
  }
  return object;
}

function checkNumber(value: number, field: string): number {
  if (!Number.isFinite(value)) throw invalid(field, "holds a number that JSON does not know: NaN or an infinity");
  return value;
}

function checkText(text: string, field: string): string {
  if (!text.isWellFormed()) throw invalid(field, "holds text that is not well-formed Unicode");
  return text;
}

function checkDepth(depth: number, field: string): void {
  if (depth > MAX_DEPTH) throw invalid(field, `is nested more than ${MAX_DEPTH} levels deep`);
}

function checkSize<T extends Json>(json: T, field: string): T {
  if (Buffer.byteLength(JSON.stringify(json)) > MAX_JSON_BYTES) {
    throw invalid(field, `is larger than ${MAX_JSON_BYTES / 1024} KiB as JSON`);
  }
  return json;
}

function invalid(field: string, description: string): GatewayError {
  return new GatewayError("ARGUMENT_INVALID", `${field}: ${description}`, { violations: [{ field, description }] });
}

function kindOf(json: Json): Value["kind"] {
  if (json === null) return { case: "nullValue", value: NullValue.NULL_VALUE };
  switch (typeof json) {
    case "boolean":
      return { case: "boolValue", value: json };
    case "number":
      return { case: "numberValue", value: json };
    case "string":
      return { case: "stringValue", value: json.toWellFormed() };
    case "object":
      return isArray(json) ? listOf(json) : structOf(json);
  }
}

function isArray(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

function listOf(values: readonly Json[]): Value["kind"] {
  return { case: "listValue", value: { $typeName: "google.protobuf.ListValue", values: values.map(valueFromJson) } };
}

function structOf(object: { readonly [key: string]: Json }): Value["kind"] {
  const fields: { [key: string]: Value } = {};
  for (const [key, value] of Object.entries(object)) {
    // Assigning to __proto__ would set the prototype instead.
    Object.defineProperty(fields, key.toWellFormed(), {
      value: valueFromJson(value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return { case: "structValue", value: { $typeName: "google.protobuf.Struct", fields } };
}
