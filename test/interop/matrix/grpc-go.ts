import { cpSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { findProgram } from "../../../bench/kit/find-program.ts";
import { exportValidate } from "../../../bench/kit/stock-client.ts";
import { ROOT } from "../../support/process-fixture.ts";
import { type MatrixClient, outputOf } from "./client.ts";

const FOLDER = join(ROOT, "node_modules/.cache/interop/go");
const BINARY = join(FOLDER, "bin/grpc-go-client");
const BUILD_TIMEOUT_MS = 300_000;

/** grpc-go with generated code. */
export const grpcGo: MatrixClient = {
  name: "grpc-go",
  async prepare() {
    const go = findProgram("go");
    if (go === undefined) throw new Error("Go is not installed: https://go.dev/dl");
    cpSync(join(import.meta.dirname, "go"), FOLDER, { recursive: true });
    exportValidate();
    await outputOf(go, ["build", "-o", "bin/", "tool"], FOLDER, BUILD_TIMEOUT_MS);
    // buf looks for the generators on PATH.
    const path = [join(FOLDER, "bin"), dirname(go), process.env.PATH ?? ""].join(delimiter);
    const buf = [
      join(ROOT, "node_modules/.bin/buf"),
      "generate",
      "--template",
      join(FOLDER, "buf.gen.yaml"),
      "-o",
      FOLDER,
    ];
    await outputOf("env", [`PATH=${path}`, ...buf], ROOT, BUILD_TIMEOUT_MS);
    await outputOf(go, ["build", "-o", BINARY, "."], FOLDER, BUILD_TIMEOUT_MS);
  },
  play: async ({ host, caFile }) => {
    await outputOf(BINARY, [host, ...(caFile === undefined ? [] : [caFile])]);
  },
};
