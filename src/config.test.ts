import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeCertificateFiles } from "../test/support/certificates.ts";
import { files, fromFile, INSTANCE_KEY, problemsOf } from "../test/support/config-cases.ts";
import { describeConfig } from "./config/describe.ts";
import { configFromHandover, loadConfig } from "./config.ts";

describe("sources", () => {
  test("with nothing given every setting has its documented default", () => {
    const { config } = loadConfig({ env: {} });
    expect(config).toMatchObject({
      gateway: { insecure: false },
      rpc: {
        listen: { host: "127.0.0.1", port: 50051 },
        maxMessageBytes: 4194304,
        drainGraceMs: 10000,
        transport: "engine",
        workers: 1,
      },
      admin: { listen: { host: "127.0.0.1", port: 50052 } },
      emulator: { listen: { host: "127.0.0.1", port: 50053 } },
      clerk: { url: "https://api.clerk.com", apiVersion: "2026-05-12", timeoutMs: 5000, attemptTimeoutMs: 2500 },
      cache: {
        verdictTtlMs: 30000,
        refusalTtlMs: 2000,
        maxEntries: 100000,
        maxBytes: 134217728,
        refusalMaxEntries: 10000,
      },
      revocations: { stalenessBoundMs: 1000, retentionMs: 3600000 },
      watch: { maxLag: 1024, heartbeatMs: 5000 },
      log: { level: "info", format: "json" },
    });
    expect(config.clerk.machineSecretKey).toBeUndefined();
    expect(config.gateway.replica).toMatch(/^[\w.-]{1,64}$/);
    expect(config.gateway.replica).not.toBe(loadConfig({ env: {} }).config.gateway.replica);
  });

  test("a flag wins over the environment, the environment over the file, the file over the default", () => {
    const loaded = loadConfig({
      ...fromFile("clerk: { timeoutMs: 3001, maxAttempts: 5, maxQueue: 7 }", {
        CLERK_TIMEOUT_MS: "3002",
        CLERK_MAX_ATTEMPTS: "6",
      }),
      overrides: { CLERK_TIMEOUT_MS: "3003", CLERK_MAX_ATTEMPTS: undefined },
    });
    expect(loaded.config.clerk).toMatchObject({ timeoutMs: 3003, maxAttempts: 6, maxQueue: 7 });
    const shown = new Map(describeConfig(loaded).map((setting) => [setting.path, setting]));
    expect(shown.get("clerk.timeoutMs")).toMatchObject({ name: "CLERK_TIMEOUT_MS", value: "3003", origin: "flag" });
    expect(shown.get("clerk.maxAttempts")).toMatchObject({ origin: "env", where: "CLERK_MAX_ATTEMPTS" });
    expect(shown.get("clerk.maxQueue")).toMatchObject({ origin: "file", where: "g.yaml: clerk.maxQueue" });
    expect(shown.get("clerk.maxConcurrency")).toMatchObject({ value: "64", origin: "default", where: "" });
    expect(shown.get("rpc.listen")).toMatchObject({ value: "127.0.0.1:50051" });
  });

  test("GATEWAY_CONFIG names the file where no flag does", () => {
    const readFile = files({ "a.yaml": "log: { level: warn }", "b.json": '{"log":{"level":"debug"}}' });
    const env = { GATEWAY_CONFIG: "a.yaml" };
    expect(loadConfig({ env, readFile }).config.log.level).toBe("warn");
    expect(loadConfig({ env, file: "b.json", readFile }).config.log.level).toBe("debug");
  });

  test("an empty variable, an empty file and an empty group are as good as none", () => {
    expect(loadConfig({ env: { GATEWAY_LISTEN: "", CLERK_SECRET_KEY: " " } }).config.clerk.secretKey).toBeUndefined();
    expect(loadConfig(fromFile("")).config.log.level).toBe("info");
    expect(loadConfig(fromFile("clerk:\nrpc:\n  listen:\n")).config.rpc.listen).toEqual({
      host: "127.0.0.1",
      port: 50051,
    });
  });

  test("what a stronger source overrides is not looked at", () => {
    expect(loadConfig(fromFile("clerk: { timeoutMs: -1 }", { CLERK_TIMEOUT_MS: "4000" })).config.clerk.timeoutMs).toBe(
      4000,
    );
  });

  test.each([
    ["true", true],
    ["TRUE", true],
    ["1", true],
    ["false", false],
    ["0", false],
  ])("a boolean variable may say %s", (text, value) => {
    expect(loadConfig({ env: { GATEWAY_INSECURE: text } }).config.gateway.insecure).toBe(value);
  });

  test("what one process loaded, another one of the same gateway takes over whole", () => {
    const env = {
      GATEWAY_REPLICA: "a",
      CLERK_SECRET_KEY: INSTANCE_KEY,
      GATEWAY_LISTEN: "unix:/g.sock",
      CLERK_MAX_QUEUE: "7",
    };
    const { config, keyFiles, handover } = loadConfig(fromFile("log: { level: warn }", env));
    const other = configFromHandover(handover());
    expect(other).toEqual({ config, keyFiles });
    expect(other.config.clerk.secretKey?.reveal()).toBe(INSTANCE_KEY);
    expect(() => configFromHandover('{"raw":{"rpc":{"workers":0}},"keyFiles":{}}')).toThrow();
  });

  test("the loaded configuration cannot be changed", () => {
    const { config } = loadConfig({ env: {} });
    expect(Object.isFrozen(config) && Object.isFrozen(config.clerk)).toBe(true);
  });
});

describe("settings that depend on each other", () => {
  test("revocations outlive every cached answer", () => {
    const env = { GATEWAY_VERDICT_TTL_MS: "3600000", CLERK_TIMEOUT_MS: "5000" };
    expect(problemsOf({ env }).lines).toEqual([
      "GATEWAY_REVOCATION_RETENTION_MS is 3600000, so a cached answer could outlive the revocation that contradicts it: give at least 3665000 (GATEWAY_VERDICT_TTL_MS + CLERK_TIMEOUT_MS + 60000)",
    ]);
    expect(problemsOf({ env: { ...env, GATEWAY_REVOCATION_RETENTION_MS: "3665000" } }).lines).toEqual([]);
  });

  test("an attempt takes no longer than the call", () => {
    expect(problemsOf({ env: { CLERK_TIMEOUT_MS: "1000", CLERK_ATTEMPT_TIMEOUT_MS: "1001" } }).lines).toEqual([
      "CLERK_ATTEMPT_TIMEOUT_MS is 1001, more than CLERK_TIMEOUT_MS, which is 1000: lower it, or raise CLERK_TIMEOUT_MS",
    ]);
  });

  test("a broken setting is not blamed a second time for what depends on it", () => {
    expect(problemsOf({ env: { CLERK_TIMEOUT_MS: "x", GATEWAY_VERDICT_TTL_MS: "3600000" } }).lines).toHaveLength(1);
  });

  test.each(["GATEWAY_LISTEN", "GATEWAY_ADMIN_LISTEN", "EMULATOR_LISTEN"])(
    "%s leaves this machine only with GATEWAY_INSECURE",
    (variable) => {
      for (const address of ["0.0.0.0:1", ":1", "[::]:1", "10.1.2.3:1", "example.test:1", "[::ffff:10.0.0.1]:1"]) {
        const [line] = problemsOf({ env: { [variable]: address } }).lines;
        expect(line, address).toContain("neither TLS nor caller authentication");
        expect(line).toContain("GATEWAY_INSECURE=true");
        expect(problemsOf({ env: { [variable]: address, GATEWAY_INSECURE: "true" } }).lines).toEqual([]);
      }
      for (const address of ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:0"]) {
        expect(problemsOf({ env: { [variable]: address } }).lines, address).toEqual([]);
      }
    },
  );

  test("a Unix socket is local, and takes nobody's port", () => {
    const { config } = loadConfig({ env: { GATEWAY_LISTEN: "unix:/run/gateway.sock" } });
    expect(config.rpc.listen).toEqual({ path: "/run/gateway.sock" });
    expect(problemsOf({ env: { GATEWAY_ADMIN_LISTEN: "unix:/run/admin.sock" } }).lines).toHaveLength(1);
  });

  test("with TLS the RPC port leaves this machine without GATEWAY_INSECURE, the admin port does not", () => {
    const { certFile, keyFile, directory } = makeCertificateFiles();
    try {
      const tls = { GATEWAY_TLS_CERT_FILE: certFile, GATEWAY_TLS_KEY_FILE: keyFile };
      expect(loadConfig({ env: { ...tls, GATEWAY_LISTEN: ":1" } }).tls?.cert).toContain("BEGIN CERTIFICATE");
      expect(problemsOf({ env: { ...tls, GATEWAY_ADMIN_LISTEN: ":1" } }).lines).toHaveLength(1);
      const swapped = { GATEWAY_TLS_CERT_FILE: keyFile, GATEWAY_TLS_KEY_FILE: certFile };
      expect(problemsOf({ env: swapped }).lines[0]).toContain("are not a certificate in PEM and its key");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("a certificate is given with its key, and both can be read", () => {
    expect(problemsOf({ env: { GATEWAY_TLS_CERT_FILE: "c.pem" } }).lines).toEqual([
      "GATEWAY_TLS_CERT_FILE is given without GATEWAY_TLS_KEY_FILE: give both, or neither",
    ]);
    expect(problemsOf({ env: { GATEWAY_TLS_KEY_FILE: "k.pem" } }).lines).toEqual([
      "GATEWAY_TLS_KEY_FILE is given without GATEWAY_TLS_CERT_FILE: give both, or neither",
    ]);
    const env = { GATEWAY_TLS_CERT_FILE: "c.pem", GATEWAY_TLS_KEY_FILE: "k.pem" };
    expect(problemsOf({ env, readFile: files({ "k.pem": "" }) }).lines).toEqual([
      "GATEWAY_TLS_CERT_FILE names c.pem, which cannot be read (ENOENT): give the path of a PEM file that this process may read",
    ]);
  });

  test("nobody believes that callers are asked for certificates when they are not", () => {
    const { certFile, keyFile, caFile, directory } = makeCertificateFiles();
    try {
      const tls = { GATEWAY_TLS_CERT_FILE: certFile, GATEWAY_TLS_KEY_FILE: keyFile };
      const problems = (env: Record<string, string>) => problemsOf({ env }).lines;
      expect(problems({ GATEWAY_TLS_CLIENT_CA_FILE: caFile })[0]).toContain("given without GATEWAY_TLS_CERT_FILE");
      for (const clientAuth of ["require", "optional"]) {
        expect(problems({ ...tls, GATEWAY_TLS_CLIENT_AUTH: clientAuth })[0]).toContain(
          "given without GATEWAY_TLS_CLIENT_CA_FILE",
        );
      }
      for (const path of [keyFile, "/dev/null"]) {
        expect(problems({ ...tls, GATEWAY_TLS_CLIENT_CA_FILE: path })[0]).toContain(
          "does not hold certificates in PEM",
        );
      }
      const mtls = { ...tls, GATEWAY_TLS_CLIENT_CA_FILE: caFile };
      expect(loadConfig({ env: mtls }).tls).toMatchObject({ clientAuth: "require" });
      expect(loadConfig({ env: { ...mtls, GATEWAY_TLS_CLIENT_AUTH: "optional" } }).tls).toMatchObject({
        clientAuth: "optional",
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test("the two ports of the gateway are not one", () => {
    const env = { GATEWAY_LISTEN: "127.0.0.1:7", GATEWAY_INSECURE: "true" };
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: "127.0.0.1:7" } }).lines).toHaveLength(1);
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: ":7" } }).lines).toHaveLength(1);
    expect(problemsOf({ env: { ...env, GATEWAY_ADMIN_LISTEN: "127.0.0.2:7" } }).lines).toEqual([]);
    expect(
      problemsOf({ env: { GATEWAY_LISTEN: ":0", GATEWAY_ADMIN_LISTEN: ":0", GATEWAY_INSECURE: "1" } }).lines,
    ).toEqual([]);
  });
});
