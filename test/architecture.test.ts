import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = resolve(import.meta.dirname, "../src");
const MAX_LINES = 300;

/**
 * Who may import whom. A room is a folder of src, or a file directly in it. `rooms` are the other rooms it may import,
 * `packages` what it may import from outside; "node:" stands for every module of Node.
 */
const RULES: Record<string, { rooms: string[]; packages: string[] }> = {
  token: { rooms: [], packages: ["node:crypto", "lru-cache"] },
  memory: { rooms: ["token"], packages: ["node:"] },
  upstream: { rooms: ["token"], packages: ["node:", "undici"] },
  emulator: { rooms: [], packages: ["node:"] },
  http2: { rooms: [], packages: ["node:"] },
  gen: { rooms: [], packages: ["@bufbuild/protobuf", "@bufbuild/protovalidate"] },
  callers: { rooms: ["token"], packages: ["node:", "zod", "yaml"] },
  access: {
    rooms: ["audit-log", "callers", "config", "logger", "reload", "rpc", "status", "token"],
    packages: ["node:fs"],
  },
  "audit-log": { rooms: ["logger", "rpc", "token"], packages: [] },
  rpc: {
    rooms: ["token", "gen", "http2", "status", "callers", "fleet-view"],
    packages: ["node:", "@connectrpc/", "@bufbuild/protobuf", "@bufbuild/protovalidate"],
  },
  admin: { rooms: ["callers", "logger"], packages: ["node:"] },
  console: { rooms: [], packages: [] },
  cli: { rooms: ["gen"], packages: ["node:", "commander", "@connectrpc/", "@bufbuild/protobuf"] },
  config: { rooms: [], packages: ["node:", "zod", "yaml"] },
  logger: { rooms: [], packages: ["node:", "pino"] },
  redis: { rooms: ["token"], packages: ["node:", "ioredis"] },
  domain: {
    rooms: [
      "config",
      "jwt-keys",
      "logger",
      "memory",
      "own-keys",
      "redis",
      "redis-tier",
      "token",
      "tracing",
      "upstream",
    ],
    packages: [],
  },
  "own-keys": { rooms: ["token", "upstream"], packages: ["node:crypto", "lru-cache"] },
  "jwt-keys": { rooms: ["config", "logger", "token", "upstream"], packages: [] },
  "redis-tier": { rooms: ["config", "logger", "redis", "token"], packages: ["node:"] },
  reload: { rooms: ["config", "logger", "status", "token"], packages: ["node:"] },
  metrics: { rooms: ["status"], packages: ["prom-client"] },
  status: { rooms: ["token", "upstream"], packages: [] },
  tracing: { rooms: ["config", "logger", "rpc", "token", "upstream"], packages: ["node:", "@opentelemetry/"] },
  "call-log": { rooms: ["logger", "rpc", "token"], packages: ["node:"] },
  "observe-calls": { rooms: ["call-log", "metrics", "recent-errors", "rpc", "tracing"], packages: [] },
  "fleet-view": { rooms: ["token"], packages: [] },
  "recent-errors": { rooms: ["rpc", "status"], packages: [] },
  "system-clock": { rooms: ["token"], packages: ["node:perf_hooks"] },
  gateway: {
    rooms: [
      "access",
      "admin",
      "call-log",
      "callers",
      "config",
      "domain",
      "fleet-view",
      "logger",
      "metrics",
      "observe-calls",
      "recent-errors",
      "reload",
      "rpc",
      "status",
      "system-clock",
      "token",
      "tracing",
    ],
    packages: [],
  },
  commands: {
    rooms: ["access", "callers", "cli", "config", "emulator", "gateway", "gen", "logger", "workers"],
    packages: ["@connectrpc/"],
  },
  workers: {
    rooms: ["admin", "config", "gateway", "logger", "memory", "redis", "redis-tier", "reload", "system-clock", "token"],
    packages: ["node:cluster"],
  },
  main: { rooms: ["program"], packages: ["node:"] },
  program: { rooms: ["cli", "commands", "config"], packages: ["node:"] },
};

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path, text: readFileSync(resolve(SRC, path), "utf8") }));
const sources = files.filter(({ path }) => !path.endsWith(".test.ts"));

describe("the architecture", () => {
  it.each(sources)("lets src/$path import only what its room may", ({ path, text }) => {
    const rule = RULES[roomOf(path)];
    expect(rule, `src/${path} belongs to no room: give it a rule`).toBeDefined();
    const forbidden = importsOf(text).filter((specifier) => !isAllowed(path, specifier, rule?.rooms, rule?.packages));
    expect(forbidden).toEqual([]);
  });

  it("reads the environment and the command line at one place each", () => {
    const reading = (pattern: RegExp) => sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
    expect(reading(/process\.env/)).toEqual(["config.ts"]);
    expect(reading(/process\.(argv|exit|on)\b/)).toEqual(["program.ts"]);
  });

  it("keeps files small, names exports and re-exports nothing", () => {
    const own = files.filter(({ path }) => roomOf(path) !== "gen");
    expect(own.filter(({ text }) => text.split("\n").length > MAX_LINES + 1).map(({ path }) => path)).toEqual([]);
    expect(own.filter(({ text }) => /^export (default|\*)|^export \{[^}]*\} from/m.test(text))).toEqual([]);
  });
});

function roomOf(path: string): string {
  return path.split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\s[^;]*?from "([^"]+)"|^import "([^"]+)"|import\("([^"]+)"\)/gm)].map(
    ([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "",
  );
}

function isAllowed(path: string, specifier: string, rooms: string[] = [], packages: string[] = []): boolean {
  if (!specifier.startsWith(".")) {
    return packages.some(
      (name) =>
        specifier === name ||
        specifier.startsWith(name.endsWith("/") ? name : `${name}/`) ||
        (name === "node:" && specifier.startsWith(name)),
    );
  }
  const target = relative(SRC, resolve(SRC, dirname(path), specifier));
  return roomOf(target) === roomOf(path) || rooms.includes(roomOf(target));
}
