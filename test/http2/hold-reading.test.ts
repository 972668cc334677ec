import { once } from "node:events";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import tls from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { holdReading } from "../../src/http2/socket-reading.ts";
import { makeCertificate } from "../support/certificates.ts";

const FIRST = "first";
/** More than the kernel keeps for either. */
const MORE_BYTES = 32 * 1024 * 1024;

describe("holdReading", () => {
  const open: { destroy(): void }[] = [];
  let server: Server;
  afterEach(() => {
    for (const socket of open.splice(0)) socket.destroy();
    server.close();
  });

  it.each(["tcp", "tls"] as const)("leaves what comes over %s to its client, and loses none of it", async (carrier) => {
    const identity = makeCertificate();
    server = carrier === "tcp" ? net.createServer() : tls.createServer(identity);
    server.listen(0, "localhost");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, carrier === "tcp" ? "connection" : "secureConnection");
    const at = { port, host: "localhost" };
    const client = carrier === "tcp" ? net.connect(at) : tls.connect({ ...at, ca: identity.cert });
    // Over TLS it comes with the end of the handshake.
    client.write(FIRST);
    const [socket] = (await accepted) as [Socket];
    open.push(client, socket);
    const readOn = holdReading(socket);
    client.write(Buffer.alloc(MORE_BYTES));
    for (let round = 0; round < 200; round++) await new Promise(setImmediate);
    expect(client.writableLength).toBeGreaterThan(0);
    expect(socket.readableLength).toBeLessThanOrEqual(FIRST.length);

    let received = 0;
    readOn();
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    while (received < FIRST.length + MORE_BYTES) await once(socket, "data");
    expect(received).toBe(FIRST.length + MORE_BYTES);
  });
});
