import { z } from "zod";
import { FILE_KEY_SUFFIX, SCHEMA_KEY } from "./file-source.ts";
import { listSettings, OTHER_VARIABLES, type Setting, settingPath } from "./settings.ts";
import { FILE_SUFFIX } from "./text-source.ts";

const GROUP_TITLES: Readonly<Record<string, string>> = {
  gateway: "The gateway as a whole",
  rpc: "The RPC port",
  limits: "How much the RPC port takes on",
  admin: "The admin port",
  emulator: "The emulator",
  clerk: "Clerk's API",
  cache: "The cache of verdicts",
  revocations: "Revocations",
  watch: "Watchers",
  log: "Logs",
  tracing: "Traces",
};

const INTRODUCTION = `# Configuration

<!-- Generated from src/config/settings/ by \`npm run docs\`. Do not edit. -->

Settings come from, the strongest first: flags of the command line (\`--help\` lists them), environment variables, a file,
the defaults below. \`m2m-gateway config check\` shows what is in force and where it came from, or every problem there is.

- A variable that is empty counts as not set. Booleans are \`true\` or \`1\`, \`false\` or \`0\`.
- The file is YAML or JSON, named by \`--config\` or \`GATEWAY_CONFIG\`. Its keys are in camelCase, two levels deep: the
  group, then the setting. \`docs/config.schema.json\` is its schema for editors.
- A secret can be given as the path of a file that holds it, and nothing else but a line break at the end: in the
  variable or key of the same name with \`${FILE_SUFFIX}\` or \`${FILE_KEY_SUFFIX}\` at its end. Give one of the two. Secrets are never shown.
- Names that are not known are refused, in the file and among variables that begin with \`GATEWAY_\` or \`EMULATOR_\`.
  Those that Kubernetes sets for a service of that name (\`GATEWAY_SERVICE_HOST\` and the like) are not minded.
- \`:50051\` listens on every address of the machine. In YAML an IPv6 address needs quotes: \`"[::1]:50051"\`.
- \`unix:/run/m2m-gateway.sock\` serves RPCs on a Unix domain socket, which only this machine can reach.
`;

/** A file that works as it is where the paths in it exist. */
const EXAMPLE = `rpc:
  listen: "[::1]:50051"
clerk:
  machineSecretKeyFile: /run/secrets/clerk-machine-key
  timeoutMs: 3000
cache:
  verdictTtlMs: 10000
log:
  level: debug
  format: pretty`;

/** docs/configuration.md */
export function configurationMarkdown(): string {
  const parts = [INTRODUCTION];
  for (const [group, settings] of byGroup()) {
    parts.push(`## ${GROUP_TITLES[group] ?? group}\n`, "| Variable | Key in the file | Default | Accepts | Meaning |");
    parts.push("|---|---|---|---|---|", ...settings.map(row), "");
  }
  parts.push("## Other variables\n", "| Variable | Meaning |", "|---|---|");
  parts.push(...Object.entries(OTHER_VARIABLES).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`), "");
  parts.push("## Example\n", "```yaml", EXAMPLE, "```");
  return `${parts.join("\n")}\n`;
}

/** docs/config.schema.json */
export function configurationJsonSchema(): string {
  const groups = [...byGroup()].map(([group, settings]) => {
    const properties = Object.fromEntries(settings.flatMap(schemaProperties));
    return [group, { type: "object", properties, additionalProperties: false }] as const;
  });
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Configuration of m2m-gateway",
    type: "object",
    properties: { [SCHEMA_KEY]: { type: "string" }, ...Object.fromEntries(groups) },
    additionalProperties: false,
  };
  return `${jsonText(schema, "")}\n`;
}

function byGroup(): Map<string, Setting[]> {
  const groups = new Map<string, Setting[]>();
  for (const setting of listSettings()) groups.set(setting.group, [...(groups.get(setting.group) ?? []), setting]);
  return groups;
}

function row(setting: Setting): string {
  const { variable, kind, initial, accepts, description } = setting.facts;
  const path = settingPath(setting);
  const isSecret = kind === "secret";
  const cells = [
    isSecret ? `\`${variable}\` or \`${variable}${FILE_SUFFIX}\`` : `\`${variable}\``,
    isSecret ? `\`${path}\` or \`${path}${FILE_KEY_SUFFIX}\`` : `\`${path}\``,
    initial.includes(" ") ? initial : `\`${initial}\``,
    accepts,
    description,
  ];
  return `| ${cells.join(" | ")} |`;
}

function schemaProperties({ key, facts, schema }: Setting): [string, object][] {
  const { $schema: _, ...form } = z.toJSONSchema(schema, { io: "input" });
  const description = `${facts.description} Accepts ${facts.accepts}. Variable: ${facts.variable}.`;
  const property: [string, object] = [key, { description, ...form }];
  if (facts.kind !== "secret") return [property];
  return [
    property,
    [key + FILE_KEY_SUFFIX, { description: `Path of a file that holds ${facts.accepts}.`, type: "string" }],
  ];
}

/** As the formatter has it: objects one member a line, lists on one line. */
function jsonText(value: unknown, indent: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, indent)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([name, member]) => `${indent}  ${JSON.stringify(name)}: ${jsonText(member, `${indent}  `)}`,
  );
  return `{\n${members.join(",\n")}\n${indent}}`;
}
