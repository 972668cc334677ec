import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../config.ts";
import { configurationJsonSchema, configurationMarkdown } from "./documentation.ts";
import { listSettings } from "./settings.ts";

const committed = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

describe("the documentation of the configuration", () => {
  test("is the one committed (npm run docs renews it)", () => {
    expect(committed("docs/configuration.md")).toBe(configurationMarkdown());
    expect(committed("docs/config.schema.json")).toBe(configurationJsonSchema());
  });

  test("has a row for every setting, and every setting a unit or a form, a default and a meaning", () => {
    const page = configurationMarkdown();
    for (const { facts } of listSettings()) {
      expect(page).toContain(`\`${facts.variable}\``);
      expect(facts.accepts).not.toBe("");
      expect(facts.initial).not.toBe("");
      expect(facts.description).toMatch(/^[A-Z`].*\.$/);
    }
  });

  test("gives every variable and key to one setting only", () => {
    const variables = listSettings().map(({ facts }) => facts.variable);
    expect(new Set(variables).size).toBe(variables.length);
    expect(variables).toHaveLength(65);
  });

  test("has an example that the gateway takes", () => {
    const example = /```yaml\n([\s\S]*?)```/.exec(configurationMarkdown())?.[1] ?? "";
    const readFile = (path: string) => (path === "example.yaml" ? example : "ak_0123456789\n");
    const { config } = loadConfig({ env: {}, file: "example.yaml", readFile, needsKey: true });
    expect(config.rpc.listen).toEqual({ host: "::1", port: 50051 });
    expect(config.log).toEqual({ level: "debug", format: "pretty", access: "off" });
    expect(Object.keys(parse(example))).toEqual(["rpc", "clerk", "cache", "log"]);
  });

  test("has a schema that knows the same keys as the gateway", () => {
    const schema = JSON.parse(configurationJsonSchema());
    const keys = Object.entries<{ properties?: object }>(schema.properties).flatMap(([group, { properties = {} }]) =>
      Object.keys(properties).map((key) => `${group}.${key}`),
    );
    const expected = listSettings().flatMap(({ group, key, facts }) =>
      facts.kind === "secret" ? [`${group}.${key}`, `${group}.${key}File`] : [`${group}.${key}`],
    );
    expect(keys).toEqual(expected);
  });
});
