import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../../bench/kit/find-program.ts";
import { type MatrixClient, outputOf } from "./client.ts";
import type { Served } from "./served.ts";

/** Posts JSON and gives the body of the answer, whatever its status. */
type PostJson = (served: Served, path: string, body: string) => Promise<string>;

/** Connect with JSON over HTTP/2, by curl: with prior knowledge, or as TLS has it. */
export const curl = commandLine("curl", "apt-get install curl, brew install curl", async (served, path, body) => {
  const version = served.caFile === undefined ? ["--http2-prior-knowledge"] : ["--http2", "--cacert", served.caFile];
  const args = ["--silent", "--show-error", ...version, "--header", "content-type: application/json"];
  const format = ["--write-out", "\n%{http_version}", "--data", body];
  const output = await outputOf("curl", [...args, ...format, `${served.url}${path}`]);
  const end = output.lastIndexOf("\n");
  if (output.slice(end + 1) !== "2") throw new Error(`curl spoke HTTP/${output.slice(end + 1)}`);
  return output.slice(0, end);
});

/** The same by nghttp, which speaks nothing but HTTP/2 and pads, prioritizes and updates windows as it likes. */
export const nghttp = commandLine("nghttp", "apt-get install nghttp2-client", async (served, path, body) => {
  const folder = await mkdtemp(join(tmpdir(), "nghttp-"));
  try {
    const file = join(folder, "body.json");
    await writeFile(file, body);
    const args = ["--header=content-type: application/json", "--padding=100", "--window-bits=10", `--data=${file}`];
    return await outputOf("nghttp", ["--no-verify-peer", ...args, `${served.url}${path}`]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

function commandLine(name: string, howToGet: string, post: PostJson): MatrixClient {
  return {
    name,
    prepare: async () => {
      if (findProgram(name) === undefined) throw new Error(`${name} is not installed: ${howToGet}`);
    },
    async play(served) {
      const call = async (method: string, body: object) =>
        JSON.parse(await post(served, `/m2mgateway.v1.TokenService/${method}`, JSON.stringify(body))) as Answer;
      const { token, secret } = await call("CreateToken", {});
      expectEqual((await call("VerifyToken", { token: secret })).verdict, "VERDICT_VALID");
      await call("RevokeToken", { tokenId: token?.id });
      expectEqual((await call("VerifyToken", { token: secret })).verdict, "VERDICT_REVOKED");
      expectEqual((await call("VerifyToken", {})).code, "invalid_argument");
    },
  };
}

interface Answer {
  readonly token?: { readonly id: string };
  readonly secret?: string;
  readonly verdict?: string;
  readonly code?: string;
}

function expectEqual(seen: string | undefined, wanted: string): void {
  if (seen !== wanted) throw new Error(`${seen} instead of ${wanted}`);
}
