import { Pool } from "undici";
import { expect, it } from "vitest";
import { eventually } from "../../test/support/upstream/fake-clock.ts";
import { ScriptedServer, silence } from "../../test/support/upstream/scripted-server.ts";
import { canceled } from "../token/errors.ts";
import { exchange } from "./http-exchange.ts";

const REQUEST = { method: "POST", path: "/", headers: {}, body: "{}" } as const;

it("notices its signal while the connection is still being made", async () => {
  let connecting = false;
  const pool = new Pool("http://127.0.0.1:9", {
    connect: () => {
      connecting = true;
    },
  });
  const controller = new AbortController();
  const answer = exchange(pool, REQUEST, controller.signal);
  await eventually(() => connecting);
  controller.abort(canceled());
  await expect(answer).rejects.toMatchObject({ reason: "CANCELED" });
  await pool.destroy();
});

it("never sends a request that was given up while it waited for a connection", async () => {
  const server = new ScriptedServer();
  server.script(silence);
  const pool = new Pool(await server.listen(), { connections: 1, pipelining: 1 });
  const first = new AbortController();
  const second = new AbortController();
  const answers = [exchange(pool, REQUEST, first.signal), exchange(pool, REQUEST, second.signal)];
  await eventually(() => server.seen.length === 1);
  second.abort(canceled());
  first.abort(canceled());
  await Promise.allSettled(answers);
  await exchange(pool, { ...REQUEST, path: "/third" }, new AbortController().signal);
  expect(server.seen.map((seen) => seen.path)).toEqual(["/", "/third"]);
  await pool.destroy();
  await server.close();
});

it("refuses a head that is larger than any the upstream sends", async () => {
  const server = new ScriptedServer();
  server.fallback = (response) => response.writeHead(200, { "x-pad": "x".repeat(40_000) }).end("{}");
  const pool = new Pool(await server.listen());
  const answer = exchange(pool, REQUEST, new AbortController().signal);
  await expect(answer).rejects.toMatchObject({ reason: "UPSTREAM_BAD_RESPONSE" });
  await pool.destroy();
  await server.close();
});
