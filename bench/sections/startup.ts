import { fillLog } from "../fill-log.ts";
import { BenchGateway } from "../kit/bench-gateway.ts";
import { rounded, summarize } from "../kit/statistics.ts";
import type { Section, SectionContext } from "./section.ts";

const FACTS = 100_000;
const STARTS = 5;

export const startup: Section = {
  name: "startup",
  about: `from the start of the process until /readyz says 200 and synced, and RPCs are accepted, without and with ${FACTS} facts`,
  async run(context) {
    const { world } = context;
    await measure(context, "no_facts", undefined);
    const fleet = `startup-${process.pid}`;
    world.log(`putting ${FACTS} facts into Redis`);
    await fillLog(world.redisPort, FACTS, fleet);
    await measure(context, "1e5_facts", fleet);
  },
};

async function measure({ world, record }: SectionContext, what: string, fleet: string | undefined): Promise<void> {
  const upAfterMs: number[] = [];
  const rssMib: number[] = [];
  let live = 0;
  for (let count = 0; count < STARTS; count += 1) {
    const gateway = await BenchGateway.start(world, fleet === undefined ? {} : { fleet });
    upAfterMs.push(gateway.child.upAfterMs);
    rssMib.push(gateway.child.usage().rssBytes / 2 ** 20);
    live = await gateway.metric("m2m_gateway_revocations_live");
    await gateway.stop();
  }
  const { median, max } = summarize(upAfterMs);
  record.setFigures("startup", {
    [`${what}_ready_median_ms`]: rounded(median),
    [`${what}_ready_max_ms`]: rounded(max),
    [`${what}_rss_mib`]: rounded(summarize(rssMib).median),
    [`${what}_held`]: live,
  });
}
