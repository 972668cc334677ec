// Proves the Dockerfile without a container engine: does its steps in an empty folder, then runs the result as an engine
// would (process 1, its user, a read-only root, no privileges to gain, no network but loopback), in front of the emulator.
// The base images are not proved: Node.js and its libraries are those of this machine. Needs Linux and root.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../test/support/process-fixture.ts";
import { buildStages } from "./image/build.ts";
import { addRuntime, type Container, type ContainerOptions, createNetwork, startContainer } from "./image/confined.ts";
import { type ImageConfig, imageConfig, parseDockerfile } from "./image/dockerfile.ts";

const READY_TIMEOUT_MS = 20_000;
const SEED = join(ROOT, "deploy/compose/seed.json");
/** As the seed has them. */
const MACHINE_KEY = "ak_compose_billing";
const TOKEN = "mt_compose_try_me";

const work = mkdtempSync(join(tmpdir(), "m2m-gateway-image-"));
try {
  if (process.platform !== "linux" || process.getuid?.() !== 0) throw new Error("this needs Linux and root");
  await prove();
} catch (error) {
  console.error(`NOT PROVED: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function prove(): Promise<void> {
  const stages = parseDockerfile(readFileSync(join(ROOT, "Dockerfile"), "utf8"));
  const last = stages.at(-1);
  if (last === undefined) throw new Error("the Dockerfile has no stage");
  const image = imageConfig(last);
  const root = buildStages(stages, ROOT, work).get(last.name) ?? "";
  proveContents(join(root, image.workdir));
  addRuntime(root);
  const secrets = join(work, "secrets");
  mkdirSync(secrets);
  writeFileSync(join(secrets, "machine-key"), `${MACHINE_KEY}\n`);
  writeFileSync(join(secrets, "seed.json"), readFileSync(SEED));

  using network = await createNetwork();
  const base = { root, image, secrets, network };
  using emulator = await startContainer({ ...base, command: ["emulator", "--seed", "/run/secrets/seed.json"] });
  for (const workers of ["1", "2"]) await proveGateway(base, workers);
  await proveStop(emulator, "emulator");
}

function proveContents(app: string): void {
  const files = readdirSync(app, { recursive: true, encoding: "utf8" });
  const packages = files.filter((path) => /(^|\/)node_modules\/(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path));
  const bytes = files.reduce((sum, path) => sum + statSync(join(app, path)).size, 0);
  expect("no compiled code, so that one build serves every platform", !files.some((path) => path.endsWith(".node")));
  expect("no development dependencies", !files.some((path) => /node_modules\/(typescript|vitest|tsx)\//.test(path)));
  expect("no tests", !files.some((path) => /^dist\/.*\.test\.js$/.test(path)));
  console.log(`       ${packages.length} packages, ${(bytes / 1024 / 1024).toFixed(1)} MiB beside Node.js itself`);
}

async function proveGateway(base: Omit<ContainerOptions, "command" | "env">, workers: string): Promise<void> {
  const what = workers === "1" ? "gateway" : `gateway with ${workers} workers`;
  const env = {
    CLERK_API_URL: "http://127.0.0.1:50053",
    CLERK_MACHINE_SECRET_KEY_FILE: "/run/secrets/machine-key",
    GATEWAY_WORKERS: workers,
  };
  using gateway = await startContainer({ ...base, env });
  await untilHealthy(gateway, base.image);
  expect(`${what}: the HEALTHCHECK says SERVING`, gateway.exec(base.image.healthcheck).output.includes("SERVING"));
  const status = readFileSync(`/proc/${gateway.pid}/status`, "utf8");
  const [uid, gid] = base.image.user.split(":");
  expect(`${what}: node is process 1`, /^NSpid:\t\d+\t1$/m.test(status) && /^Name:\tnode$/m.test(status));
  expect(
    `${what}: runs as user ${uid}, which is not root`,
    uid !== "0" && everyId(status, "Uid", uid) && everyId(status, "Gid", gid),
  );
  expect(
    `${what}: holds no capability and can gain none`,
    /^CapEff:\t0+$/m.test(status) && /^NoNewPrivs:\t1$/m.test(status),
  );
  proveReadOnly(gateway, base.image, what);
  const verified = gateway.exec([...base.image.entrypoint, "token", "verify"], TOKEN);
  expect(`${what}: verifies a token`, verified.code === 0 && verified.output.includes("VALID"), verified.output);
  console.log(`       ${/^VmRSS:\s+(.*)$/m.exec(status)?.[1]} resident in process 1`);
  await proveStop(gateway, what);
}

function everyId(status: string, name: string, id = ""): boolean {
  return status.includes(`${name}:\t${[id, id, id, id].join("\t")}\n`);
}

function proveReadOnly(container: Container, image: ImageConfig, what: string): void {
  // EACCES: what root owns is refused before the root's being read-only matters.
  const script = `for (const path of ["/x", "/tmp/x", "${image.workdir}/x", "${image.workdir}/dist/main.js"])
    try { require("fs").appendFileSync(path, ""); console.log(path); } catch (error) {
      if (error.code !== "EROFS" && (error.code !== "EACCES" || !path.endsWith(".js"))) console.log(path, error.code); }`;
  const { output, code } = container.exec(["node", "-e", script]);
  expect(`${what}: its root cannot be written`, code === 0 && output === "", output);
}

async function untilHealthy(container: Container, image: ImageConfig): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const { code, output } = container.exec(image.healthcheck);
    if (code === 0) return;
    if (Date.now() > deadline) throw new Error(`not healthy (${code}): ${output}\n${container.output()}`);
    await sleep(100);
  }
}

async function proveStop(container: Container, what: string): Promise<void> {
  const startedAt = performance.now();
  const code = await container.stop();
  const tookMs = Math.round(performance.now() - startedAt);
  expect(`${what}: ends with 0 after SIGTERM`, code === 0, `${code}\n${container.output()}`);
  console.log(`       in ${tookMs} ms`);
}

function expect(claim: string, holds: boolean, otherwise = ""): void {
  if (!holds) throw new Error(`${claim}: it is not so. ${otherwise}`);
  console.log(`proved ${claim}`);
}
