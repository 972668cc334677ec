import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../src/config.ts";
import { startGateway } from "../src/gateway.ts";
import { Code } from "../src/gen/google/rpc/code_pb.ts";
import { createLogger } from "../src/logger.ts";
import { connectErrorFrom } from "../src/rpc/connect-error.ts";
import { SERVICES } from "../src/rpc/routes.ts";
import { GatewayError, type Reason } from "../src/token/errors.ts";

const ROOT = resolve(import.meta.dirname, "..");

const pages = [
  ...readdirSync(ROOT),
  ...["docs", "src"].flatMap((folder) =>
    readdirSync(resolve(ROOT, folder), { recursive: true, encoding: "utf8" }).map((path) => `${folder}/${path}`),
  ),
]
  .filter((path) => path.endsWith(".md"))
  .map((path) => ({ path, text: read(path) }));

const domainReasons = unionIn("src/token/errors.ts", "Reason");
const transportReasons = unionIn("src/rpc/connect-error.ts", "TransportReason");

describe("docs/failure-modes.md", () => {
  const rows = new Map(
    [...read("docs/failure-modes.md").matchAll(/^\| `([A-Z_]+)` \| ([A-Z_]+) \|/gm)].map(([, reason = "", code]) => [
      reason,
      code,
    ]),
  );

  it("has a row for every reason and for no other", () => {
    expect([...rows.keys()].sort()).toEqual([...domainReasons, ...transportReasons].sort());
  });

  it.each(domainReasons)("gives %s the code that callers get", (reason) => {
    const { code } = connectErrorFrom(new GatewayError(reason as Reason, ""));
    expect(rows.get(reason)).toBe(Code[code]);
  });
});

describe("README.md", () => {
  it.each(SERVICES.flatMap(({ methods }) => methods.map(({ name }) => name)))("has a row for %s", (name) => {
    expect(read("README.md")).toMatch(new RegExp(`^\\| \`${name}\` \\|`, "m"));
  });
});

describe("the documentation", () => {
  it("names no metric that the gateway does not have", async () => {
    const metrics = await renderedMetrics();
    const named = pages.flatMap(({ text }) => text.match(/\bm2m_gateway_\w+/g) ?? []);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !metrics.has(name))).toEqual([]);
  });

  it("names no npm script that does not exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = pages.flatMap(({ text }) => [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = ""]) => name));
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  it.each(pages)("has no broken link in $path", ({ path, text }) => {
    const prose = text.replace(/^```[\s\S]*?^```/gm, "");
    const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    expect(targets.filter((target) => !isExternal(target) && !resolves(path, target))).toEqual([]);
  });
});

function read(path: string): string {
  return readFileSync(resolve(ROOT, path), "utf8");
}

/** The members of a union of string literals, read from its source: types leave no trace to ask at run time. */
function unionIn(path: string, name: string): string[] {
  const [, members = ""] = new RegExp(`export type ${name} =([^;]+);`).exec(read(path)) ?? [];
  const reasons = [...members.matchAll(/"([A-Z_]+)"/g)].map(([, reason = ""]) => reason);
  expect(reasons, `${name} in ${path}`).not.toEqual([]);
  return reasons;
}

async function renderedMetrics(): Promise<ReadonlySet<string>> {
  const anyPort = { GATEWAY_LISTEN: "127.0.0.1:0", GATEWAY_ADMIN_LISTEN: "127.0.0.1:0" };
  const { config } = loadConfig({ env: { ...anyPort, CLERK_SECRET_KEY: "sk_test_docs" } });
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  const gateway = await startGateway({ config, log: createLogger({ ...config.log, stream }), version: "0.0.0" });
  try {
    const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name));
  } finally {
    await gateway.close();
  }
}

function isExternal(target: string): boolean {
  return /^[a-z]+:/.test(target);
}

function resolves(page: string, target: string): boolean {
  const [file = "", fragment] = target.split("#");
  const path = file === "" ? page : resolve(ROOT, dirname(page), file);
  if (!existsSync(resolve(ROOT, path))) return false;
  return fragment === undefined || headingsOf(readFileSync(resolve(ROOT, path), "utf8")).has(fragment);
}

/** As GitHub makes anchors of headings. */
function headingsOf(text: string): ReadonlySet<string> {
  const slugs = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
  return new Set(slugs);
}
