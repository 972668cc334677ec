// Judges what deploy/ holds with the programs that will read it: Helm, the Kubernetes API's own schemas, promtool.
// With --update it also writes the rendered charts below test/deploy/rendered, which `npm test` looks at without Go. With
// --pinned it builds promtool from its sources instead of taking the distribution's.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ROOT } from "../../test/support/process-fixture.ts";
import { goTool } from "./go-tools.ts";
import { writeSchemas } from "./kubernetes-schemas.ts";
import { findPromtool } from "./promtool.ts";

/** The oldest that the chart takes, and a new one. */
const KUBERNETES = ["v1.30.14", "v1.37.2"];
const CHART = join(ROOT, "deploy/helm/m2m-gateway");
const EXAMPLES = join(ROOT, "deploy/examples");
const RENDERED = join(ROOT, "test/deploy/rendered");

/** Values that would do something else than who wrote them believes, and what the chart says to them. */
const REFUSED: readonly { readonly set: string; readonly because: string }[] = [
  { set: "standalone.replicas=2", because: "several replicas need gateway.redis.url" },
  { set: "autoscaling.enabled=true", because: "several replicas need gateway.redis.url" },
  { set: "networkPolicy.enabled=false", because: "does not authenticate callers" },
  { set: "gateway.redis.url=redis://user:password@redis:6379", because: "/gateway/redis/url" },
  { set: "gateway.clerk.machineSecretKey=", because: "/gateway/clerk" },
  { set: "gateway.config.clerk.secretKey=sk_test_x", because: "'secretKey' not allowed" },
  { set: "gateway.config.cache.verdictTtlMs=-1", because: "/gateway/config/cache/verdictTtlMs" },
  { set: "gateway.config.cache.verdictTtl=1", because: "'verdictTtl' not allowed" },
  { set: "servce.port=1", because: "'servce' not allowed" },
];

const work = mkdtempSync(join(tmpdir(), "m2m-gateway-deploy-"));
const results = { passed: 0, failed: 0 };
try {
  checkAll();
} catch (error) {
  results.failed += 1;
  console.error(error instanceof Error ? error.message : error);
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(`deploy: ${results.passed} checks passed, ${results.failed} failed`);
process.exitCode = results.failed === 0 ? 0 : 1;

function checkAll(): void {
  const helm = goTool({ name: "helm", package: "helm.sh/helm/v3/cmd/helm", version: "v3.22.0" });
  const rendered = [...renderChart(helm), renderExample(helm)];
  for (const { set, because } of REFUSED) {
    check(`helm refuses ${set}`, () => refused(() => template(helm, CHART, ["--set", set]), because));
  }
  for (const path of rendered) check(`${basename(path)} is what is kept`, () => compareWithKept(path));
  checkManifests([...rendered, ...plainManifests()]);
  checkAlerts();
}

function checkAlerts(): void {
  const promtool = findPromtool(process.argv.includes("--pinned"));
  const rules = join(ROOT, "deploy/prometheus");
  const version = /version (\S+)/.exec(run(promtool, ["--version"]))?.[1] ?? "";
  console.log(`        by promtool ${version}`);
  check("promtool check rules", () => run(promtool, ["check", "rules", join(rules, "alerts.yaml")]));
  check("promtool test rules", () => run(promtool, ["test", "rules", join(rules, "alerts.test.yaml")]));
}

/** Lints and renders the chart with each of its sets of values. Returns the files. */
function renderChart(helm: string): string[] {
  return readdirSync(join(CHART, "ci")).map((file) => {
    const values = ["--values", join(CHART, "ci", file)];
    check(`helm lint, ${file}`, () =>
      run(helm, ["lint", CHART, "--strict", "--quiet", "--kube-version", kubeVersion(), ...values]),
    );
    return render(`chart-${file}`, () => template(helm, CHART, values));
  });
}

/** The example that depends on the chart, with the chart as a user's `helm dependency build` gets it. */
function renderExample(helm: string): string {
  cpSync(join(ROOT, "deploy"), join(work, "deploy"), { recursive: true });
  const chart = join(work, "deploy/examples/helm-sidecar");
  check("helm dependency build, example", () => run(helm, ["dependency", "build", chart]));
  check("helm lint, example", () => run(helm, ["lint", chart, "--quiet", "--kube-version", kubeVersion()]));
  return render("example-helm-sidecar.yaml", () => template(helm, chart, []));
}

function render(name: string, make: () => string): string {
  const path = join(work, name);
  check(`helm template, ${name}`, () => writeFileSync(path, make()));
  return path;
}

function template(helm: string, chart: string, args: readonly string[]): string {
  return run(helm, ["template", "example", chart, "--namespace", "apps", "--kube-version", kubeVersion(), ...args]);
}

function kubeVersion(): string {
  return KUBERNETES[0] ?? "";
}

function checkManifests(files: readonly string[]): void {
  const kubeconform = goTool({
    name: "kubeconform",
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    version: "v0.8.0",
  });
  for (const version of KUBERNETES) {
    const schemas = join(work, `schemas-${version}`);
    writeSchemas(version, schemas);
    const location = join(schemas, "{{ .ResourceKind }}{{ .KindSuffix }}.json");
    const judge = (path: string) => run(kubeconform, ["-strict", "-summary", "-schema-location", location, path]);
    for (const path of files) check(`Kubernetes ${version} takes ${basename(path)}`, () => judge(path));
    // What accepts everything proves nothing.
    check(`Kubernetes ${version} refuses a misspelt field`, () => {
      const path = join(work, "misspelt.yaml");
      const [first = ""] = files;
      writeFileSync(path, readFileSync(first, "utf8").replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"));
      refused(() => judge(path), "readOnlyRootFileSystem");
    });
  }
}

function plainManifests(): string[] {
  return readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".yaml") && !path.startsWith("helm-"))
    .map((path) => join(EXAMPLES, path));
}

function compareWithKept(path: string): void {
  const kept = join(RENDERED, basename(path));
  const text = readFileSync(path, "utf8");
  if (process.argv.includes("--update")) {
    mkdirSync(RENDERED, { recursive: true });
    writeFileSync(kept, text);
  }
  if (readFileSync(kept, "utf8") !== text) throw new Error(`${kept} differs: npm run deploy:check -- --update`);
}

function check(title: string, body: () => unknown): void {
  try {
    body();
    results.passed += 1;
    console.log(`ok      ${title}`);
  } catch (error) {
    results.failed += 1;
    console.error(`FAILED  ${title}\n${error instanceof Error ? error.message : error}`);
  }
}

function refused(body: () => unknown, because: string): void {
  let said = "";
  try {
    body();
  } catch (error) {
    said = error instanceof Error ? error.message : "";
  }
  if (!said.includes(because)) throw new Error(said === "" ? "it was taken" : `it was refused otherwise: ${said}`);
}

/** What the program wrote. @throws Error with what it wrote when it failed */
function run(file: string, args: readonly string[]): string {
  try {
    return execFileSync(file, [...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${basename(file)} ${args.join(" ")}\n${stdout}${stderr}`);
  }
}
