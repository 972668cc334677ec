import net from "node:net";
import { describe, expect, it, vi } from "vitest";
import { eventually, post, rawExchange, startFakeGateway, VERIFY } from "./fake-gateway.ts";

describe("a connection", () => {
  it("speaks HTTP/2 though its preface comes byte by byte", async () => {
    await using gateway = await startFakeGateway();
    const socket = net.connect(gateway.server.port, "127.0.0.1");
    socket.setNoDelay(true);
    for (const byte of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
      socket.write(byte, "latin1");
      await new Promise((resolve) => setImmediate(resolve));
    }
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(emptySettings);
    const [first] = await new Promise<Buffer[]>((resolve) => {
      socket.once("data", (data) => resolve([data]));
    });
    socket.destroy();
    expect(first?.readUInt8(3)).toBe(4);
  });

  it("speaks HTTP/1.1 though its first letters are those of the preface", async () => {
    await using gateway = await startFakeGateway();
    const answer = await rawExchange(gateway.server, "P", "RI / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 [34]/);
  });

  it.each([
    ["sends nothing", ""],
    ["stops in the middle of the HTTP/2 preface", "PRI * HT"],
    ["speaks HTTP/2 but sends no SETTINGS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("that %s is closed in time", async (_what, opening) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      await using gateway = await startFakeGateway();
      let closed = false;
      const exchange = rawExchange(gateway.server, opening).finally(() => {
        closed = true;
      });
      await eventually(() => {
        vi.advanceTimersByTime(1000);
        return closed;
      });
      await exchange;
    } finally {
      vi.useRealTimers();
    }
  });

  it("over HTTP/1.1 is answered what can be answered at once, though its client says its last word with the request", async () => {
    await using gateway = await startFakeGateway();
    const body = `{"token":"mt_1"}`;
    const head = `POST ${VERIFY} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    for (let n = 0; n < 5; n++) {
      const socket = net.connect(gateway.server.port, "127.0.0.1");
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
      });
      socket.end(head + body);
      await new Promise((resolve) => socket.once("close", resolve));
      expect(answer).toMatch(/^HTTP\/1\.1 200 .*VERDICT_VALID/s);
    }
  });

  it("is closed when it ends in the middle of the preface", async () => {
    await using gateway = await startFakeGateway();
    const socket = net.connect(gateway.server.port, "127.0.0.1");
    socket.end("PRI *");
    await new Promise((resolve) => socket.resume().once("close", resolve));
  });

  it("is closed when its client has said its last word over HTTP/2", async () => {
    await using gateway = await startFakeGateway();
    const socket = net.connect(gateway.server.port, "127.0.0.1");
    const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), emptySettings]));
    await new Promise((resolve) => socket.once("data", resolve));
    socket.end();
    await new Promise((resolve) => socket.resume().once("close", resolve));
    await eventually(() => gateway.server.counts().connections === 0);
  });

  it("may be reset at any moment without harm to others", async () => {
    await using gateway = await startFakeGateway();
    for (const opening of [
      "",
      "P",
      "PRI * HTTP/2.0\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      `POST ${VERIFY} HTTP/1.1\r\n`,
    ]) {
      const socket = net.connect(gateway.server.port, "127.0.0.1");
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(opening);
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    const answer = await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`);
    expect(await answer.json()).toMatchObject({ verdict: "VERDICT_VALID" });
  });

  it("that sends garbage is refused without harm to others", async () => {
    await using gateway = await startFakeGateway();
    expect(await rawExchange(gateway.server, "\x00\xff\x13garbage\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    const garbageFrames = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.alloc(64, 0xff)]);
    await rawExchange(gateway.server, garbageFrames);
    expect((await post(gateway, VERIFY, "application/json", `{"token":"mt_1"}`)).status).toBe(200);
  });
});
