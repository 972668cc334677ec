import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { accepts, newAddress } from "../kit/address.ts";
import { CannotRun, reasonOf } from "../kit/cannot-run.ts";
import { Child } from "../kit/child.ts";
import { findProgram } from "../kit/find-program.ts";
import { CACHE } from "../kit/programs.ts";
import type { Peer } from "./peer.ts";

const run = promisify(execFile);
const VERSION = "v1.22.2";
const FOLDER = join(CACHE, `opa-${VERSION}`);
const BINARY = join(FOLDER, "opa");
const BUILD_TIMEOUT_MS = 600_000;
const KEY = "benchmark key, known to everybody";

const POLICY = `package m2m

default verdict := {"verdict": "INVALID"}

verdict := {"verdict": "VALID", "subject": claims.sub} if {
  [true, _, claims] = io.jwt.decode_verify(input.token, {"secret": "${KEY}", "alg": "HS256"})
}
`;

/**
 * Open Policy Agent, asked over its REST API on HTTP/2 to verify a JWT that a shared key has signed. It decides on its own:
 * it asks no upstream, and knows of no revocation. Its answer is not the others'.
 */
export const opa: Peer = {
  name: "opa",
  title: "OPA, JWT (HS256) over REST",
  carriers: ["tcp"],
  async prepare(world) {
    if (existsSync(BINARY)) return;
    const go = findProgram("go");
    if (go === undefined) throw new CannotRun("Go is not installed: https://go.dev/dl");
    world.log("building OPA, which takes a minute or two the first time");
    const options = { env: { ...process.env, GOBIN: FOLDER }, timeout: BUILD_TIMEOUT_MS };
    try {
      await run(go, ["install", `github.com/open-policy-agent/opa@${VERSION}`], options);
    } catch (error) {
      throw new CannotRun(`it does not build: ${reasonOf(error)}`, { cause: error });
    }
  },
  async start(world, _material, carrier) {
    const address = await newAddress(carrier, world.folder);
    const policyFile = join(world.folder, "m2m.rego");
    writeFileSync(policyFile, POLICY);
    const bodyFile = join(world.folder, "opa.json");
    const body = JSON.stringify({ input: { token: signedToken() } });
    writeFileSync(bodyFile, body);
    const child = await Child.start({
      command: BINARY,
      args: [
        "run",
        "--server",
        "--h2c",
        "--log-level=error",
        "--skip-version-check",
        `--addr=${address.text}`,
        policyFile,
      ],
      core: world.cores.server,
      isUp: () => accepts(address),
    });
    const path = "/v1/data/m2m/verdict";
    const answer = await decide(`http://${address.text}${path}`, body);
    return {
      target: {
        address,
        path,
        bodyFile,
        contentType: "application/json",
        authorization: world.caller.authorization,
        answerBytes: answer.length,
        slackBytes: 0,
      },
      usage: () => child.usage(),
      confirm: () => Promise.resolve(),
      stop: () => child.stop(),
    };
  },
};

async function decide(url: string, body: string): Promise<string> {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const answer = await response.text();
  if (!answer.includes('"VALID"')) throw new Error(`answers ${response.status} and not VALID`);
  return answer;
}

function signedToken(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: "mch_bench", exp: Math.floor(Date.now() / 1000) + 86_400, role: "reader" };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", KEY).update(signed).digest("base64url")}`;
}
