import { describe, expect, it } from "vitest";
import { serve } from "./kit/call.ts";
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

  it("keeps others waiting for a few of them only", async () => {
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
    // Those of the round in which the other's bytes come, and of the next.
    expect(begun.indexOf("/other")).toBeLessThan(MANY / 10);
  });

  it("is not read on while it is behind with those that it has sent", async () => {
    let isBehind = false;
    let asked = 0;
    await using engine = await startEngine({
      onCall: (call) => {
        isBehind = true;
        serve(call);
      },
      isBehind: () => {
        asked += 1;
        return isBehind;
      },
    });
    using client = await connectRaw(engine.port);
    client.send(repeat(MANY, (at) => request(2 * at + 1, `/size/${at}`)));
    for (let begun = 1; engine.calls.length < MANY; begun = engine.calls.length + 1) {
      await engine.eventually(() => engine.calls.length >= begun);
      const calls = engine.calls.length;
      const before = asked;
      await engine.eventually(() => asked >= before + 3);
      expect(engine.calls).toHaveLength(calls);
      isBehind = false;
    }
    await client.answer(2 * MANY - 1);
  });
});
