// Writes the pages that are generated from the sources. With --check it writes nothing and fails if one differs.
import { readFileSync, writeFileSync } from "node:fs";
import { configurationJsonSchema, configurationMarkdown } from "../src/config/documentation.ts";
import { metricsMarkdown } from "../src/metrics/documentation.ts";
import { chartSchema } from "./deploy/chart-schema.ts";

const root = new URL("../", import.meta.url);
const CHART_SCHEMA = "deploy/helm/m2m-gateway/values.schema.json";

const pages = [
  { path: "docs/configuration.md", text: configurationMarkdown() },
  { path: "docs/config.schema.json", text: configurationJsonSchema() },
  { path: "docs/metrics.md", text: await metricsMarkdown() },
  { path: CHART_SCHEMA, text: chartSchema(readPage(new URL(CHART_SCHEMA, root)) ?? "{}") },
];

if (process.argv.includes("--check")) {
  const stale = pages.filter(({ path, text }) => readPage(new URL(path, root)) !== text);
  for (const { path } of stale) console.error(`${path} is not what the sources say: run npm run docs`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const { path, text } of pages) writeFileSync(new URL(path, root), text);
}

function readPage(url: URL): string | undefined {
  try {
    return readFileSync(url, "utf8");
  } catch {
    return undefined;
  }
}
