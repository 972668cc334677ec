import { Readable, Writable } from "node:stream";
import { inspect } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { runCli } from "../../src/cli/run-cli.ts";
import { startEmulator } from "../../src/emulator/emulator.ts";
import { TokenFormat } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import {
  envelope,
  eventually,
  type Hostile,
  mintAt,
  type Protocol,
  post,
  rawExchange,
  rawHttp2,
  startHostile,
} from "../support/hostile-fixture.ts";
import { startOtlpReceiver } from "../support/otlp/otlp-receiver.ts";

const PROTOCOLS: readonly Protocol[] = ["grpc", "grpcWeb", "connect", "connectH1"];
const SERVICE = "/m2mgateway.v1.TokenService";

/** Everything that anybody saw, apart from the one field that may hold a secret. */
class Seen {
  readonly texts: string[] = [];
  readonly secrets: string[] = [];

  note(what: unknown): void {
    this.texts.push(
      typeof what === "string" ? what : inspect(what, { depth: 10, maxStringLength: null, maxArrayLength: null }),
    );
  }

  async call(work: Promise<unknown>): Promise<void> {
    this.note(await work.catch((error: unknown) => error));
  }

  async answer(work: Promise<Response>): Promise<void> {
    const response = await work;
    this.note(`${inspect([...response.headers])} ${await response.text()}`);
  }

  /** What gave a secret away, with what stood around it. */
  leaks(): string[] {
    return this.secrets.flatMap((secret) => {
      const forms = formsOf(secret);
      return this.texts.flatMap((text) => {
        const found = forms.find((form) => text.includes(form));
        const at = found === undefined ? -1 : text.indexOf(found);
        return at === -1 ? [] : [`${text.slice(0, 200)} … ${text.slice(Math.max(0, at - 80), at + 80)}`];
      });
    });
  }
}

/** Whole, encoded, and every 16 characters of what is secret in it: not of a prefix, nor of a JWT's header. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const parts = secret.includes(".") ? secret.split(".").slice(1) : [secret.replace(/^(mt|ak|sk(_test|_live)?)_/, "")];
  const pieces = parts.flatMap((part) =>
    Array.from({ length: Math.max(1, part.length - 15) }, (_, at) => part.slice(at, at + 16)),
  );
  return [
    secret,
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    ...pieces,
  ];
}

async function goodCalls(hostile: Hostile, seen: Seen): Promise<string[]> {
  const made: string[] = [];
  for (const protocol of PROTOCOLS) {
    const { tokens } = hostile.on(protocol);
    for (const format of [TokenFormat.OPAQUE, TokenFormat.JWT]) {
      const { secret, ...rest } = await tokens.createToken({ format });
      seen.note(rest);
      seen.secrets.push(secret);
      made.push(secret);
      for (let round = 0; round < 2; round++) await seen.call(tokens.verifyToken({ token: secret }));
      await acquireCalls(tokens, format, seen);
      await seen.call(tokens.batchVerifyTokens({ tokens: [secret, `${secret}x`, ` ${secret}`] }));
    }
    const [byId, bySecret] = [await hostile.mint(), await hostile.mint()];
    seen.secrets.push(byId.secret, bySecret.secret);
    await seen.call(tokens.verifyToken({ token: byId.secret }));
    await seen.call(tokens.revokeToken({ target: { case: "tokenId", value: byId.id }, reason: "test" }));
    await seen.call(tokens.revokeToken({ target: { case: "token", value: bySecret.secret } }));
    for (const { secret } of [byId, bySecret]) await seen.call(tokens.verifyToken({ token: secret }));
    await seen.call(tokens.listTokens({ subject: hostile.emulator.machine("billing").id, includeRevoked: true }));
  }
  return made;
}

/** Of a pooled token, which is given more than once: created, from memory, and another once it is revoked. */
async function acquireCalls(tokens: Hostile["clients"]["tokens"], format: TokenFormat, seen: Seen): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const { secret, ...rest } = await tokens.acquireToken({ format });
    seen.note(rest);
    if (!seen.secrets.includes(secret)) seen.secrets.push(secret);
    if (round === 1) await seen.call(tokens.revokeToken({ target: { case: "token", value: secret } }));
  }
}

async function badCalls(hostile: Hostile, seen: Seen, secret: string): Promise<void> {
  for (const protocol of PROTOCOLS) {
    const { tokens, revocations, gateway } = hostile.on(protocol);
    await seen.call(tokens.revokeToken({ target: { case: "tokenId", value: secret } }));
    await seen.call(tokens.listTokens({ subject: secret, pageToken: secret }));
    await seen.call(tokens.verifyToken({ token: secret, minCursor: secret, policy: { allowedSubjects: [secret] } }));
    await seen.call(tokens.verifyToken({ token: `${secret}\r\nx: y` }));
    await seen.call(revocations.listRevocations({ pageToken: secret, subjects: [secret] }));
    await seen.call(gateway.invalidateCache({ target: { case: "tokenId", value: secret } }));
  }
  const bodies = [
    `{"token":"${secret}`,
    `{"token":"${secret}"x}`,
    `{"token":${secret}}`,
    `{"${secret}":1}`,
    `{"token":{"a":"${secret}"}}`,
    `{"maxAge":"${secret}"}`,
    `{"minCursor":1,"token":"${secret}"}`,
    secret,
    `"${secret}"`,
  ];
  for (const body of bodies) {
    for (const type of ["application/json", "application/proto", "text/plain"]) {
      await seen.answer(post(hostile.gateway, `${SERVICE}/VerifyToken`, type, body));
    }
    for (const type of ["application/grpc+json", "application/grpc", "application/grpc-web+json"]) {
      const headers = {
        "content-type": type,
        authorization: `Bearer ${secret}`,
        "x-token": secret,
        "x-request-id": secret,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate: `vendor=${secret.slice(0, 250)}`,
      };
      seen.note(await rawHttp2(hostile.gateway, `${SERVICE}/VerifyToken`, headers, envelope(Buffer.from(body))));
    }
  }
  for (const path of [`/${secret}`, `${SERVICE}/${secret}`, `${SERVICE}/VerifyToken?token=${secret}`]) {
    await seen.answer(fetch(`${hostile.gateway.url}${path}`));
    await seen.answer(fetch(`${hostile.gateway.adminUrl}${path}`, { method: "PUT", body: secret }));
  }
  seen.note(await rawExchange(hostile.port, `GET /${secret} HTTP/9.9\r\n${secret}\r\n\r\n`));
}

async function upstreamThatTells(hostile: Hostile, seen: Seen, secret: string): Promise<void> {
  const quote = seen.secrets.slice(0, 3).concat(secret).join(" and ");
  const problem = {
    code: "form_param_value_invalid",
    message: quote,
    long_message: quote,
    meta: { param_name: "claims" },
  };
  const { tokens } = hostile.clients;
  for (const status of [200, 400, 401, 402, 403, 404, 409, 422, 429, 500]) {
    hostile.emulator.control.faults.add({
      id: "telling",
      status,
      body: JSON.stringify({ errors: [problem], token: secret, id: secret }),
      headers: { "x-clerk-trace-id": secret, location: `https://x/${secret}` },
    });
    await seen.call(tokens.createToken({}));
    for (const format of [TokenFormat.OPAQUE, TokenFormat.JWT]) {
      await seen.call(tokens.acquireToken({ format, ttl: { seconds: BigInt(status) } }));
    }
    await seen.call(tokens.verifyToken({ token: `mt_unseen${status}` }));
    await seen.call(tokens.listTokens({ subject: hostile.emulator.machine("billing").id }));
    await seen.call(tokens.revokeToken({ target: { case: "tokenId", value: `mt_${"0".repeat(32)}` } }));
  }
  hostile.emulator.control.faults.clear();
}

async function onCommandLine(hostile: Hostile, seen: Seen, secret: string): Promise<void> {
  const run = async (argv: string[], input: string, more: Record<string, string> = {}) => {
    const sink = () =>
      new Writable({
        write(chunk, _encoding, done) {
          seen.note(String(chunk));
          done();
        },
      });
    const never = async () => 0;
    await runCli(["--gateway", hostile.gateway.url, ...argv], {
      stdin: Readable.from([input]),
      stdout: sink(),
      stderr: sink(),
      env: more,
      isTty: false,
      signal: new AbortController().signal,
      invocation: "m2m-gateway",
      run: { serve: never, dev: never, emulator: never, configCheck: never },
    });
  };
  for (const output of ["text", "json"]) {
    await run(["--output", output, "token", "verify"], secret);
    await run(["--output", output, "token", "verify"], `${secret} ${secret}`);
    await run(["--output", output, "token", "verify", secret], "");
    await run(["--output", output, "token", "verify"], "", { M2M_TOKEN: `Bearer ${secret}` });
    await run(["--output", output, "token", "revoke"], secret);
    await run(["--output", output, "token", "revoke", "--id", secret], "");
    await run(["--output", output, "revocations", "list"], "");
    await run(["--output", output, "status"], "");
  }
}

describe("the gateway", { timeout: 240_000 }, () => {
  it.each(["json", "pretty"])("lets no secret out but in the answer that creates it (log: %s)", async (format) => {
    const seen = new Seen();
    const stderr = vi.spyOn(process.stderr, "write").mockImplementation((chunk) => {
      seen.note(String(chunk));
      return true;
    });
    const onLine = (line: string) => seen.note(line);
    const receiver = await startOtlpReceiver();
    const env = {
      GATEWAY_LOG_FORMAT: format,
      GATEWAY_ACCESS_LOG: "1",
      CLERK_MAX_ATTEMPTS: "1",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: "x-collector-key=ak_collectors9Zb7Vn5Rw2Tj6Yc1Xd",
    };
    const hostile = await startHostile({ env, onLine });
    const other = await startEmulator();
    try {
      seen.secrets.push(hostile.emulator.instanceKey, "ak_collectors9Zb7Vn5Rw2Tj6Yc1Xd");
      for (const { secretKey } of hostile.emulator.machines()) seen.secrets.push(secretKey);
      const stop = new AbortController();
      const watching = (async () => {
        for await (const event of hostile.clients.revocations.watchRevocations({}, { signal: stop.signal })) {
          seen.note(event);
        }
      })().catch((error: unknown) => seen.note(error));

      const made = await goodCalls(hostile, seen);
      const strange = await mintAt(other, { token_format: "jwt" });
      seen.secrets.push(strange.secret);
      for (const secret of [...made.slice(0, 2), strange.secret]) {
        await badCalls(hostile, seen, secret);
        await onCommandLine(hostile, seen, secret);
        await upstreamThatTells(hostile, seen, secret);
      }
      for (const path of ["/metrics", "/readyz", "/livez", "/", "/x"]) {
        await seen.answer(fetch(`${hostile.gateway.adminUrl}${path}`));
      }
      await seen.call(hostile.clients.gateway.getStatus({}));
      await seen.call(hostile.clients.revocations.listRevocations({}));
      await eventually(() => seen.texts.some((text) => text.includes("call failed")));
      stop.abort();
      await watching;
    } finally {
      await hostile[Symbol.asyncDispose]();
      await other.close();
      // As strings, and as the bytes that left.
      seen.note(receiver.spans);
      for (const { path, body } of receiver.requests) seen.note(`${path} ${body.toString("latin1")}`);
      await receiver[Symbol.asyncDispose]();
      stderr.mockRestore();
    }
    expect(hostile.lines.length).toBeGreaterThan(100);
    expect(receiver.spans.length).toBeGreaterThan(100);
    expect(seen.leaks()).toEqual([]);
  });
});
