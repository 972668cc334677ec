// buf needs buf/validate/validate.proto as a file; the npm package carries only its descriptor. This prints the
// structure of that descriptor (no comments) as a .proto into the folder given, where buf.yaml looks for it.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isFieldSet } from "@bufbuild/protobuf";
import { FieldDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const SCALARS = [
  "",
  "double",
  "float",
  "int64",
  "uint64",
  "int32",
  "fixed64",
  "fixed32",
  "bool",
  "string",
  "group",
  "",
  "bytes",
  "uint32",
  "",
  "sfixed32",
  "sfixed64",
  "sint32",
  "sint64",
];
const LABELS = ["", "optional", "required", "repeated"];
const MAX_FIELD_NUMBER = 536870912;

const file = validate.proto;
const lines = [];
const line = (depth, text) => lines.push("  ".repeat(depth) + text);

line(0, `syntax = "${file.syntax || "proto2"}";`);
line(0, `package ${file.package};`);
for (const dependency of file.dependency) line(0, `import "${dependency}";`);
for (const extension of file.extension) {
  line(0, `extend ${extension.extendee} {`);
  printField(1, extension, new Map(), false);
  line(0, "}");
}
for (const message of file.messageType) printMessage(0, message);
for (const enumType of file.enumType) printEnum(0, enumType);

const target = join(process.argv[2] ?? "node_modules/.cache/protovalidate", file.name);
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, `${lines.join("\n")}\n`);

function printMessage(depth, message) {
  line(depth, `message ${message.name} {`);
  const maps = new Map(message.nestedType.filter((n) => n.options?.mapEntry).map((n) => [n.name, n]));
  const printed = new Set();
  for (const field of message.field) {
    const oneof = oneofOf(field);
    if (oneof === undefined) printField(depth + 1, field, maps, false);
    else if (!printed.has(oneof)) {
      printed.add(oneof);
      line(depth + 1, `oneof ${message.oneofDecl[oneof].name} {`);
      for (const member of message.field) if (oneofOf(member) === oneof) printField(depth + 2, member, maps, true);
      line(depth + 1, "}");
    }
  }
  for (const range of message.extensionRange) {
    line(depth + 1, `extensions ${range.start} to ${range.end >= MAX_FIELD_NUMBER ? "max" : range.end - 1};`);
  }
  for (const range of message.reservedRange) line(depth + 1, `reserved ${range.start} to ${range.end - 1};`);
  for (const nested of message.nestedType) if (!nested.options?.mapEntry) printMessage(depth + 1, nested);
  for (const enumType of message.enumType) printEnum(depth + 1, enumType);
  line(depth, "}");
}

function printField(depth, field, maps, inOneof) {
  const map = maps.get(field.typeName?.split(".").pop());
  if (map) {
    line(depth, `map<${typeOf(map.field[0])}, ${typeOf(map.field[1])}> ${field.name} = ${field.number};`);
    return;
  }
  const options = field.options?.deprecated ? " [deprecated = true]" : "";
  const label = inOneof ? "" : `${LABELS[field.label]} `;
  line(depth, `${label}${typeOf(field)} ${field.name} = ${field.number}${options};`);
}

function printEnum(depth, enumType) {
  line(depth, `enum ${enumType.name} {`);
  if (enumType.options?.allowAlias) line(depth + 1, "option allow_alias = true;");
  for (const value of enumType.value) line(depth + 1, `${value.name} = ${value.number};`);
  line(depth, "}");
}

function oneofOf(field) {
  const isMember = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex) && !field.proto3Optional;
  return isMember ? field.oneofIndex : undefined;
}

function typeOf(field) {
  return field.typeName || SCALARS[field.type];
}
