import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Emulator, startEmulator } from "../../src/emulator/emulator.ts";
import { TokenService, Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { type Authority, makeAuthority } from "../support/certificates.ts";
import { type RunningGateway, startGatewayFixture, until } from "../support/gateway-fixture.ts";
import { MountedFiles, textsOf, tlsEnv } from "./live-files.ts";

const ROTATIONS = 5;
const CALLERS = 4;

let emulator: Emulator;
let authority: Authority;
beforeEach(async () => {
  emulator = await startEmulator();
  authority = makeAuthority();
});
afterEach(() => emulator.close());

interface Load {
  readonly answered: () => number;
  /** @returns what went wrong */
  stop(): Promise<unknown[]>;
}

/** Callers that never rest: on connections that stay, and on ones that are new for each call. */
function callWithoutPause({ url }: RunningGateway, clientTls: object, secrets: readonly string[]): Load {
  const failures: unknown[] = [];
  let answered = 0;
  let stopped = false;
  const baseUrl = `https://localhost:${new URL(url).port}`;
  const loops = Array.from({ length: CALLERS }, async (_, caller) => {
    const kept = new Http2SessionManager(baseUrl, {}, clientTls);
    for (let call = 0; !stopped; call += 1) {
      const fresh = new Http2SessionManager(baseUrl, {}, clientTls);
      const isFresh = call % 4 === 3;
      const transport = isFresh
        ? createConnectTransport({ baseUrl, httpVersion: "2", sessionManager: fresh })
        : createGrpcTransport({ baseUrl, sessionManager: kept });
      const token = secrets[(call + caller) % secrets.length] ?? "";
      try {
        const { verdict } = await createClient(TokenService, transport).verifyToken({ token });
        if (verdict !== Verdict.VALID) failures.push(Verdict[verdict]);
      } catch (error) {
        failures.push(error);
      }
      fresh.abort();
      answered += 1;
    }
    kept.abort();
  });
  return {
    answered: () => answered,
    async stop() {
      stopped = true;
      await Promise.all(loops);
      return failures;
    },
  };
}

/** The upstream's own rotation: the key before dies after a while that is long enough to tell the gateway. */
async function newMachineKey(): Promise<string> {
  const { id } = emulator.machine("billing");
  const response = await fetch(`${emulator.url}/v1/machines/${id}/secret_key/rotate`, {
    method: "POST",
    headers: { authorization: `Bearer ${emulator.instanceKey}`, "content-type": "application/json" },
    body: '{"previous_token_ttl":60}',
  });
  return ((await response.json()) as { secret: string }).secret;
}

it("no call fails while certificates, authorities and the upstream's key are replaced", {
  timeout: 120_000,
}, async () => {
  const clients = makeAuthority();
  const clientTls = { ca: authority.cert, ...clients.issue() };
  using files = new MountedFiles(textsOf(authority.issue(), clients));
  using keys = new MountedFiles({ machine: emulator.machine("billing").secretKey });
  await using gateway = await startGatewayFixture({
    env: {
      ...tlsEnv(files, true),
      CLERK_API_URL: emulator.url,
      CLERK_MACHINE_SECRET_KEY: "",
      CLERK_MACHINE_SECRET_KEY_FILE: keys.path("machine"),
      CLERK_SECRET_KEY: emulator.instanceKey,
    },
    clientTls,
  });
  const minted = await Promise.all(Array.from({ length: 8 }, () => gateway.tokens.createToken({})));
  const load = callWithoutPause(
    gateway,
    clientTls,
    minted.map(({ secret }) => secret),
  );
  const reloads = () => gateway.logLines.filter((line) => line.includes('"reloaded"')).length;
  try {
    for (let round = 1; round <= ROTATIONS; round += 1) {
      const answered = load.answered();
      files.replace(textsOf(authority.issue({ name: `round ${round}` }), `${clients.cert}${makeAuthority().cert}`));
      keys.replace({ machine: await newMachineKey() });
      await until(() => reloads() === 2 * round && load.answered() > answered + 4 * CALLERS);
    }
  } finally {
    expect(await load.stop()).toEqual([]);
  }
  expect(load.answered()).toBeGreaterThan(ROTATIONS * 4 * CALLERS);
});
