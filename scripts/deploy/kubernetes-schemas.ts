import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { goModule } from "./go-tools.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const OPERATOR_MODULE = "github.com/prometheus-operator/prometheus-operator";
const OPERATOR_VERSION = "v0.85.0";

/**
 * Writes schemas of everything that a Kubernetes of that version takes, and of the Prometheus operator's resources, as
 * kubeconform looks for them in a folder. They are strict: a field that does not exist is an error.
 *
 * @param version of the module k8s.io/kubernetes, whose sources hold the API's description
 */
export function writeSchemas(version: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const file = join(goModule("k8s.io/kubernetes", version), "api/openapi-spec/swagger.json");
  const { definitions } = JSON.parse(readFileSync(file, "utf8")) as { definitions: Record<string, JsonObject> };
  const all = Object.fromEntries(Object.entries(definitions).map(([name, schema]) => [name, strict(schema)]));
  // One file with all, to which a small one for each kind points.
  writeFileSync(join(folder, "definitions.json"), JSON.stringify({ definitions: all }));
  for (const [name, schema] of Object.entries(definitions)) {
    for (const { group, version: apiVersion, kind } of kindsOf(schema)) {
      const path = join(folder, fileName(kind, group, apiVersion));
      writeFileSync(path, JSON.stringify({ $ref: `definitions.json#/definitions/${name}` }));
    }
  }
  writeOperatorSchemas(folder);
}

function writeOperatorSchemas(folder: string): void {
  const crds = join(goModule(OPERATOR_MODULE, OPERATOR_VERSION), "example/prometheus-operator-crd");
  for (const file of readdirSync(crds)) {
    const { spec } = parse(readFileSync(join(crds, file), "utf8")) as {
      spec: {
        group: string;
        names: { kind: string };
        versions: { name: string; schema: { openAPIV3Schema: JsonObject } }[];
      };
    };
    for (const { name, schema } of spec.versions) {
      const path = join(folder, fileName(spec.names.kind, spec.group, name));
      writeFileSync(path, JSON.stringify(strict(schema.openAPIV3Schema)));
    }
  }
}

/** kubeconform's `{{ .ResourceKind }}{{ .KindSuffix }}`: of a group only what is before the first dot. */
function fileName(kind: string, group: string, version: string): string {
  const [first = ""] = group.split(".");
  return `${[kind, first, version].filter((part) => part !== "").join("-")}.json`.toLowerCase();
}

function kindsOf(schema: JsonObject): { group: string; version: string; kind: string }[] {
  return (schema["x-kubernetes-group-version-kind"] ?? []) as { group: string; version: string; kind: string }[];
}

/** Refuses fields that are not named, and says in JSON Schema's words what Kubernetes says in its own. */
function strict(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  if (schema.format === "int-or-string" || schema["x-kubernetes-int-or-string"] === true) {
    return { type: ["string", "integer"] };
  }
  const { format: _, ...known } = schema;
  const result = Object.fromEntries(Object.entries(known).map(([key, value]) => [key, strict(value)]));
  if (schema.properties !== undefined && !isOpen(schema)) result.additionalProperties = false;
  return result;
}

/** Descriptions of metadata are bare objects in CRDs. */
function isOpen(schema: JsonObject): boolean {
  return schema.additionalProperties !== undefined || schema["x-kubernetes-preserve-unknown-fields"] === true;
}
