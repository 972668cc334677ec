import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { imageConfig, parseDockerfile } from "../../scripts/image/dockerfile.ts";
import { loadConfig } from "../../src/config.ts";
import { NODE_OPTIONS } from "../support/node-options.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const CHART = "deploy/helm/m2m-gateway";

interface Variable {
  readonly name: string;
  readonly value: string;
}

interface Probe {
  readonly grpc?: { readonly port: number };
  readonly httpGet?: { readonly path: string };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly env?: readonly Variable[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: { readonly fsGroup?: number };
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string }[];
}

interface Manifest {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}

const files = [
  ...readdirSync(resolve(ROOT, "test/deploy/rendered")).map((name) => `test/deploy/rendered/${name}`),
  "deploy/examples/sidecar/orders.yaml",
  "deploy/examples/standalone-redis/m2m-gateway.yaml",
].map((path) => ({ path, manifests: manifestsIn(path) }));

const gateways = files.flatMap(({ path, manifests }) =>
  manifests.flatMap(({ spec }) => {
    const pod = spec?.template?.spec;
    const all = [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
    const container = all.find(({ image }) => image.includes("m2m-gateway"));
    return pod === undefined || container === undefined ? [] : [{ path, manifests, pod, container }];
  }),
);
const image = imageConfig(last(parseDockerfile(read("Dockerfile"))));
const chart = parse(read(`${CHART}/Chart.yaml`)) as { version: string; appVersion: string };

describe("the gateway in Kubernetes", () => {
  it("is in every file", () => {
    expect(gateways.map(({ path }) => path)).toEqual(files.map(({ path }) => path));
  });

  it.each(gateways)("of $path has a configuration that the gateway takes", ({ container, manifests }) => {
    const env = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value]));
    const configFile = manifests.find(({ kind }) => kind === "ConfigMap")?.data?.["config.yaml"] ?? "";
    const readFile = (path: string) => (path === env.GATEWAY_CONFIG ? configFile : (SECRETS[lastPart(path)] ?? ""));
    // TLS needs a real certificate, and is not what differs between manifests.
    const { GATEWAY_TLS_CERT_FILE: cert, GATEWAY_TLS_KEY_FILE: key, ...rest } = env;
    expect(cert === undefined).toBe(key === undefined);
    expect(() => loadConfig({ env: rest, needsKey: true, readFile })).not.toThrow();
  });

  it.each(gateways)("of $path mounts what its variables name", ({ container, pod }) => {
    const paths = (container.env ?? [])
      .map(({ value }) => value.replace(/^unix:/, ""))
      .filter((v) => v.startsWith("/"));
    expect(paths).not.toEqual([]);
    const mounts = container.volumeMounts ?? [];
    expect(paths.filter((path) => !mounts.some(({ mountPath }) => path.startsWith(`${mountPath}/`)))).toEqual([]);
    const volumes = new Set(pod.volumes?.map(({ name }) => name));
    expect(mounts.filter(({ name }) => !volumes.has(name))).toEqual([]);
  });

  it.each(gateways)("of $path runs as the image's user and can gain nothing", ({ container, pod }) => {
    expect(container.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: Number(image.user.split(":")[0]),
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(pod.securityContext?.fsGroup).toBe(container.securityContext?.runAsGroup);
  });

  it.each(gateways)("of $path holds no secret in its environment", ({ container }) => {
    const names = (container.env ?? []).map(({ name }) => name);
    expect(names.filter((name) => /(KEY|PASSWORD)$/.test(name))).toEqual([]);
  });

  it.each(gateways)("of $path is probed where a kubelet gets an answer", ({ container }) => {
    const value = (name: string) => container.env?.find((variable) => variable.name === name)?.value;
    const overGrpc = container.readinessProbe?.grpc !== undefined;
    const cleartextTcp = value("GATEWAY_TLS_CERT_FILE") === undefined && !value("GATEWAY_LISTEN")?.startsWith("unix:");
    expect(overGrpc).toBe(cleartextTcp);
    expect(overGrpc || container.readinessProbe?.httpGet?.path === "/readyz").toBe(true);
  });

  it.each(gateways.filter(({ pod }) => pod.initContainers !== undefined))(
    "of $path starts before the service and shares its socket with one of its own user",
    ({ container, pod }) => {
      expect(container.restartPolicy).toBe("Always");
      const [service] = pod.containers;
      expect(service?.securityContext?.runAsUser).toBe(container.securityContext?.runAsUser);
      const address = container.env?.find(({ name }) => name === "GATEWAY_LISTEN")?.value;
      expect(service?.env?.map(({ value }) => value)).toContain(address);
      expect(service?.volumeMounts?.map(({ name }) => name)).toContain("m2m-gateway-socket");
    },
  );
});

describe("the image", () => {
  it("runs as a user that is not root, by number", () => {
    expect(image.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  });

  it("starts node itself, so that it gets the signals, and asks the gateway for its health", () => {
    expect(image.entrypoint).toEqual(["node", ...NODE_OPTIONS, "dist/main.js"]);
    expect(image.command).toEqual(["serve"]);
    expect(image.healthcheck.slice(0, 3)).toEqual(["node", "dist/main.js", "health"]);
    expect(image.stopSignal).toBe("SIGTERM");
  });
});

describe("the package", () => {
  it("starts Node.js as the image does, by its command and by npm start", () => {
    const root = resolve(import.meta.dirname, "../..");
    const { scripts } = JSON.parse(readFileSync(resolve(root, "package.json"), "utf8"));
    const [shebang] = readFileSync(resolve(root, "src/main.ts"), "utf8").split("\n");
    expect(scripts.start).toBe(`node ${NODE_OPTIONS.join(" ")} dist/main.js dev`);
    expect(shebang).toBe(`#!/usr/bin/env -S node ${NODE_OPTIONS.join(" ")}`);
  });
});

describe("the chart", () => {
  it("has the version of the package", () => {
    const { version } = JSON.parse(read("package.json")) as { version: string };
    expect(chart).toMatchObject({ version, appVersion: version });
    expect(read(`${CHART}/templates/_gateway.tpl`)).toContain(`"m2m-gateway.appVersion" -}}\n${version}\n`);
    expect(read("deploy/examples/helm-sidecar/Chart.yaml")).toContain(`version: ${version}\n    repository: file:`);
  });

  it("documents every value, and in its schema no other", () => {
    const documented = new Set([...read(`${CHART}/README.md`).matchAll(/`([\w.]+)`/g)].map(([, name]) => name));
    const values = leaves(parse(read(`${CHART}/values.yaml`)));
    expect(values.filter((path) => !documented.has(path) && !documented.has(parent(path)))).toEqual([]);
    const schema = JSON.parse(read(`${CHART}/values.schema.json`)) as Schema;
    expect(values.filter((path) => !isIn(schema, path.split(".")))).toEqual([]);
  });
});

describe("docker-compose.yml", () => {
  const { services } = parse(read("docker-compose.yml"), { merge: true }) as {
    services: Record<string, { environment?: Record<string, string>; read_only?: boolean; cap_drop?: string[] }>;
  };

  it.each(Object.entries(services))("lets %s write nowhere and gain nothing", (_, service) => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
    });
  });

  it.each(["gateway-1", "gateway-2"])("gives %s a configuration that the gateway takes", (name) => {
    expect(() => loadConfig({ env: services[name]?.environment ?? {}, needsKey: true })).not.toThrow();
  });
});

/** Contents of mounted files, by the last part of their path. */
const SECRETS: Readonly<Record<string, string>> = {
  "clerk-machine-secret-key": "ak_deploy_test",
  "machine-secret-key": "ak_deploy_test",
  "clerk-secret-key": "sk_test_deploy",
  "redis-url": "rediss://redis:6379",
  "redis-password": "password",
  "verdict-key": "sixteen-characters-or-more",
};

interface Schema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

function read(path: string): string {
  return readFileSync(resolve(ROOT, path), "utf8");
}

function manifestsIn(path: string): Manifest[] {
  return parseAllDocuments(read(path)).map((document) => document.toJS() as Manifest);
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new Error("there is none");
  return item;
}

function lastPart(path: string): string {
  return path.split("/").at(-1) ?? "";
}

function parent(path: string): string {
  return path.split(".").slice(0, -1).join(".");
}

/** The paths of all values that are no objects, or empty ones. */
function leaves(value: unknown, path: readonly string[] = []): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [path.join(".")];
  const members = Object.entries(value);
  // Requests and limits are Kubernetes' own.
  if (members.length === 0 || path.at(-1) === "resources") return [path.join(".")];
  return members.flatMap(([key, member]) => leaves(member, [...path, key]));
}

function isIn(schema: Schema, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined || schema.$ref !== undefined) return true;
  const next = schema.properties?.[key];
  return next !== undefined && isIn(next, rest);
}
