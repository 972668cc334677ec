import { configurationJsonSchema } from "../../src/config/documentation.ts";

/** What the chart's own values decide, and what a ConfigMap must not hold. */
const NOT_IN_CONFIG: Readonly<Record<string, readonly string[] | "all">> = {
  $schema: "all",
  gateway: "all",
  admin: "all",
  emulator: "all",
  rpc: ["listen", "tlsCertFile", "tlsKeyFile"],
  clerk: ["machineSecretKey", "machineSecretKeyFile", "secretKey", "secretKeyFile"],
  tracing: ["headers", "headersFile"],
  redis: ["url", "urlFile", "password", "passwordFile", "sentinelPassword", "verdictKey", "verdictKeyFile", "caFile"],
};

interface Group {
  readonly properties: Readonly<Record<string, object>>;
}

/**
 * The schema of the chart's values with `gateway.config` as the gateway's own configuration has it now.
 *
 * @param current the file as it is: everything else in it stays
 */
export function chartSchema(current: string): string {
  const { properties } = JSON.parse(configurationJsonSchema()) as { properties: Record<string, Group> };
  const groups = Object.entries(properties).flatMap(([name, group]) => {
    const omitted = NOT_IN_CONFIG[name] ?? [];
    if (omitted === "all") return [];
    const kept = Object.entries(group.properties).filter(([key]) => !omitted.includes(key));
    return [[name, { type: "object", additionalProperties: false, properties: Object.fromEntries(kept) }]];
  });
  const config = { type: "object", additionalProperties: false, properties: Object.fromEntries(groups) };
  const schema = JSON.parse(current, (key, value) => (key === "config" ? config : value));
  return `${jsonText(schema, "")}\n`;
}

const LINE_WIDTH = 120;

/** As the formatter has it: on one line what is a list or was one in the file, objects one member a line. */
function jsonText(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => jsonText(item, inner));
    const line = `[${items.join(", ")}]`;
    if (!line.includes("\n") && indent.length + line.length < LINE_WIDTH) return line;
    return `[\n${items.map((item) => inner + item).join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value).map(
    ([name, member]) => `${inner}${JSON.stringify(name)}: ${jsonText(member, inner)}`,
  );
  return members.length === 0 ? "{}" : `{\n${members.join(",\n")}\n${indent}}`;
}
