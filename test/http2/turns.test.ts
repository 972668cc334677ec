import { describe, expect, it } from "vitest";
import { startEngine } from "./kit/engine-fixture.ts";
import { repeat, request } from "./kit/frames.ts";
import { connectRaw } from "./kit/raw-client.ts";

const MANY = 200;

describe("a client that sends many calls at once", () => {
  it("has all of them begun, in their order", async () => {
    await using engine = await startEngine();
    using client = await connectRaw(engine.port);
    client.send(repeat(MANY, (at) => request(2 * at + 1, `/size/${at}`)));
    expect((await client.answer(2 * MANY - 1)).body).toHaveLength(MANY - 1);
    expect(engine.calls.map(({ path }) => path)).toEqual(Array.from({ length: MANY }, (_, at) => `/size/${at}`));
  });

  it("does not keep others waiting until the last of them", async () => {
    const begun: string[] = [];
    await using engine = await startEngine({
      onCall: (call) => {
        begun.push(call.path);
        if (begun.length === 1) other.send(request(1, "/other"));
        call.answer(Buffer.alloc(0));
      },
    });
    using other = await connectRaw(engine.port);
    using client = await connectRaw(engine.port);
    client.send(repeat(MANY, (at) => request(2 * at + 1, "/one-of-many")));
    await Promise.all([client.answer(2 * MANY - 1), other.answer(1)]);
    expect(begun.indexOf("/other")).toBeLessThan(MANY);
  });
});
