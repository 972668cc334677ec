import { rm } from "node:fs/promises";
import { loadConfig } from "../../../src/config.ts";
import { startEmulator } from "../../../src/emulator/emulator.ts";
import { startGateway } from "../../../src/gateway.ts";
import { createLogger } from "../../../src/logger.ts";
import { makeCertificate } from "../../support/redis/tls-certificates.ts";
import { TRANSPORT_ENV } from "../../support/test-transport.ts";

/** A gateway and the emulator behind it. */
export interface Served extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
  /** The file of the authority over TLS. */
  readonly caFile: string | undefined;
}

export type Carrier = "TCP" | "TLS";

/** @throws Error without openssl, which makes the certificate for TLS */
export async function serve(carrier: Carrier): Promise<Served> {
  const emulator = await startEmulator();
  const files = carrier === "TLS" ? await makeCertificate() : undefined;
  const { config, tls } = loadConfig({
    env: {
      ...TRANSPORT_ENV,
      GATEWAY_LISTEN: "127.0.0.1:0",
      GATEWAY_ADMIN_LISTEN: "127.0.0.1:0",
      CLERK_API_URL: emulator.url,
      CLERK_MACHINE_SECRET_KEY: emulator.machine("billing").secretKey,
      CLERK_SECRET_KEY: emulator.instanceKey,
      ...(files && { GATEWAY_TLS_CERT_FILE: files.certFile, GATEWAY_TLS_KEY_FILE: files.keyFile }),
    },
    needsKey: true,
  });
  const log = createLogger({ ...config.log, stream: { write: () => undefined } });
  const gateway = await startGateway({ config, tls, log, version: "0.0.0-test" });
  return {
    url: gateway.url,
    host: new URL(gateway.url).host,
    caFile: files?.caFile,
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await emulator.close();
      if (files !== undefined) await rm(files.directory, { recursive: true });
    },
  };
}
