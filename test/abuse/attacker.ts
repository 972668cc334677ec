/** A process of its own that attacks as it is told, so that it does not take the time of those who look on. */
import type { Knowledge } from "./attack.ts";
import { ATTACKS } from "./attacks/all.ts";
import { Siege, type Tally } from "./siege.ts";
import type { Target } from "./target.ts";

export interface Order {
  readonly attack: string;
  readonly connections: number;
  readonly target: Target;
  readonly knowledge: Knowledge;
}

export type Told = Order | "stop";

export type Report = "ready" | Tally;

let siege: Siege | undefined;

process.on("message", (told: Told) => {
  if (told === "stop") {
    siege?.end();
    report(siege?.tally ?? { opened: 0, closed: 0 });
    siege = undefined;
    return;
  }
  const attack = ATTACKS.find(({ name }) => name === told.attack);
  if (attack === undefined) throw new Error(`no attack is called ${told.attack}`);
  const { connections, target, knowledge } = told;
  siege = new Siege(target, { ...attack.options, connections }, (socket) => attack.serve(socket, knowledge));
  void siege.ready.then(() => report("ready"));
});
// Its orders end with whoever gives them.
process.once("disconnect", () => process.exit());

function report(message: Report): void {
  process.send?.(message);
}
