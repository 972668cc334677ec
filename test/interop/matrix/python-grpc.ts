import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../bench/kit/find-program.ts";
import { exportValidate } from "../../../bench/kit/stock-client.ts";
import { ROOT } from "../../support/process-fixture.ts";
import { type MatrixClient, outputOf } from "./client.ts";

const SOURCE = join(import.meta.dirname, "python");
const FOLDER = join(ROOT, "node_modules/.cache/interop/python");
const PYTHON = join(FOLDER, "venv/bin/python");
const GENERATED = join(FOLDER, "generated");
const INSTALL_TIMEOUT_MS = 300_000;

/** Python's grpcio with generated code, in an environment of its own. */
export const pythonGrpc: MatrixClient = {
  name: "Python grpcio",
  async prepare() {
    const python = findProgram("python3");
    if (python === undefined) throw new Error("Python 3 is not installed: https://www.python.org/downloads");
    await install(python);
    await generate();
  },
  play: async ({ host, caFile }) => {
    await outputOf(PYTHON, [join(SOURCE, "client.py"), GENERATED, host, ...(caFile === undefined ? [] : [caFile])]);
  },
};

/** Once for each state of the requirements. */
async function install(python: string): Promise<void> {
  const requirements = join(SOURCE, "requirements.txt");
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const stamp = join(FOLDER, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  mkdirSync(FOLDER, { recursive: true });
  await outputOf(python, ["-m", "venv", "--clear", join(FOLDER, "venv")], ROOT, INSTALL_TIMEOUT_MS);
  await outputOf(PYTHON, ["-m", "pip", "install", "--quiet", "-r", requirements], ROOT, INSTALL_TIMEOUT_MS);
  writeFileSync(stamp, digest);
}

async function generate(): Promise<void> {
  exportValidate();
  mkdirSync(GENERATED, { recursive: true });
  const validate = join(ROOT, "node_modules/.cache/protovalidate");
  const googleapis = join(ROOT, "node_modules/@grpc/grpc-js-xds/deps/googleapis");
  const includes = [join(ROOT, "proto"), validate, googleapis].map((folder) => `--proto_path=${folder}`);
  const files = ["m2mgateway/v1/token_service.proto", "m2mgateway/v1/revocation_service.proto"];
  const more = ["m2mgateway/v1/gateway_service.proto", "buf/validate/validate.proto"];
  const out = [`--python_out=${GENERATED}`, `--grpc_python_out=${GENERATED}`];
  await outputOf(PYTHON, ["-m", "grpc_tools.protoc", ...includes, ...out, ...files, ...more], ROOT);
}
