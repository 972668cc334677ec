import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { Writable } from "node:stream";
import { parser } from "@prometheus-io/lezer-promql";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config.ts";
import { type Gateway, startGateway } from "../../src/gateway.ts";
import { createLogger } from "../../src/logger.ts";
import { metricsMarkdown } from "../../src/metrics/documentation.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string }[];
}

const rules = (parse(read("deploy/prometheus/alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const dashboard = JSON.parse(read("deploy/grafana/dashboard.json")) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly query: unknown; readonly definition?: string }[] };
};
const panels = dashboard.panels.filter(({ type }) => type !== "row");

const alertQueries = rules.map(({ alert, expr }) => ({ where: `alert ${alert}`, query: expr }));
const panelQueries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ where: `panel ${title}`, query: expr.replaceAll("$__rate_interval", "1m") })),
);
const queries = [...alertQueries, ...panelQueries];

let gateway: Gateway;
/** The names of metrics and, of each, the names of its labels. */
let series: ReadonlyMap<string, ReadonlySet<string>>;

beforeAll(async () => {
  const anyPort = { GATEWAY_LISTEN: "127.0.0.1:0", GATEWAY_ADMIN_LISTEN: "127.0.0.1:0" };
  const { config } = loadConfig({ env: { ...anyPort, CLERK_SECRET_KEY: "sk_test_deploy" } });
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  gateway = await startGateway({ config, log: createLogger({ ...config.log, stream }), version: "0.0.0" });
  // One call that succeeds and one that does not, so that there are samples with every label.
  await post("VerifyToken", { token: "not a token" });
  await post("CreateToken", {});
  series = seriesIn(await (await fetch(`${gateway.adminUrl}/metrics`)).text());
});

afterAll(() => gateway.close());

describe("alerts and dashboard", () => {
  it.each(queries)("$where is PromQL", ({ query }) => {
    expect(syntaxErrors(query)).toEqual([]);
  });

  it.each(queries)("$where names only metrics and labels that the gateway has", ({ query }) => {
    const selectors = selectorsOf(query);
    expect(selectors.length).toBeGreaterThan(0);
    for (const { metric, labels } of selectors) {
      expect(series.has(metric), `${metric} in ${query}`).toBe(true);
      const known = series.get(metric);
      expect(labels.filter((label) => !known?.has(label) && !SCRAPED_LABELS.has(label))).toEqual([]);
    }
  });

  it("compare the codes of calls as the gateway writes them", async () => {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    const codes = new Set([...text.matchAll(/code="([^"]*)"/g)].map(([, code]) => code));
    expect(codes).toContain("OK");
    expect([...codes].filter((code) => !/^[A-Z_]+$/.test(code ?? ""))).toEqual([]);
  });
});

describe("deploy/prometheus/alerts.yaml", () => {
  it.each(rules)("$alert says how grave it is, what happened and what to do", ({ labels, annotations }) => {
    expect(["warning", "critical"]).toContain(labels.severity);
    expect(annotations.summary).not.toBe("");
    expect(annotations.description).not.toBe("");
  });

  it.each(rules)("$alert has a case in which it fires", ({ alert }) => {
    expect(read("deploy/prometheus/alerts.test.yaml")).toContain(
      `labels: 'ALERTS{alertname="${alert}", alertstate="firing"`,
    );
  });
});

describe("deploy/grafana/dashboard.json", () => {
  it.each(panels)("panel $title says what it shows", ({ description = "", targets = [] }) => {
    expect(description).not.toBe("");
    expect(targets).not.toEqual([]);
  });

  it("names no data source of anyone's", () => {
    expect(read("deploy/grafana/dashboard.json").match(/"uid": "(?!\$\{datasource\}|m2m-gateway")[^"]*"/g)).toBeNull();
  });
});

describe("docs/metrics.md", () => {
  it("lists every metric of the gateway", async () => {
    const listed = [...(await metricsMarkdown()).matchAll(/^\| `(m2m_gateway_\w+)`/gm)].map(([, name]) => name);
    const own = [...series.keys()].filter((name) => name.startsWith("m2m_gateway_") && !isPart(name));
    expect(listed.sort()).toEqual(own.sort());
  });
});

/** What Prometheus adds to every sample. */
const SCRAPED_LABELS: ReadonlySet<string> = new Set(["job", "instance"]);

function read(path: string): string {
  return readFileSync(resolve(ROOT, path), "utf8");
}

async function post(method: string, message: object): Promise<void> {
  const response = await fetch(`${gateway.url}/m2mgateway.v1.TokenService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message),
  });
  await response.text();
}

function isPart(name: string): boolean {
  return /_(bucket|sum|count)$/.test(name) && series.has(name.replace(/_(bucket|sum|count)$/, ""));
}

/** Families by the comments, the parts of histograms by the samples. */
function seriesIn(text: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name = ""] of text.matchAll(/^# TYPE (\S+)/gm)) found.set(name, new Set());
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = found.get(name) ?? new Set();
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}

function syntaxErrors(query: string): string[] {
  const errors: string[] = [];
  parser.parse(query).iterate({
    enter({ type, from, to }) {
      if (type.isError) errors.push(`at ${from}: ${query.slice(from, to + 20)}`);
    },
  });
  return errors;
}

function selectorsOf(query: string): { metric: string; labels: string[] }[] {
  const selectors: { metric: string; labels: string[] }[] = [];
  parser.parse(query).iterate({
    enter({ name, from, to }) {
      const text = query.slice(from, to);
      if (name === "VectorSelector") selectors.push({ metric: /^\w+/.exec(text)?.[0] ?? "", labels: [] });
      else if (name === "LabelName" && query.slice(to).match(/^\s*[=!]/)) selectors.at(-1)?.labels.push(text);
    },
  });
  return selectors;
}
