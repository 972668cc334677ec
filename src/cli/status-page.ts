import {
  type CacheStatus,
  type Freshness,
  FreshnessState,
  type GetStatusResponse,
  type PoolStatus,
  type RevocationStatus,
  type Spend,
  type UpstreamStatus,
} from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { enumName } from "./enum-name.ts";
import type { Paint } from "./paint.ts";
import { plainText } from "./plain-text.ts";
import { type Cell, durationText, fields, timeFromNow } from "./text-layout.ts";

type Entries = (readonly [string, Cell | string | undefined])[];

/** A replica's status for people to read. */
export function statusPage(status: GetStatusResponse, nowMs: number, paint: Paint): string {
  const sections: [string, Entries][] = [
    [
      `m2m-gateway ${plainText(status.version)}`,
      [
        ["replica", status.replica],
        ["started", timeFromNow(status.startTime, nowMs)],
      ],
    ],
    ["Freshness", freshness(status.freshness)],
    ["Cache", cache(status.cache)],
    ["Upstream", upstream(status.upstream)],
    ["Revocations", revocations(status.revocations)],
    ["Pool", pool(status.pool)],
    ["Spend", spend(status.spend)],
  ];
  return sections
    .filter(([, entries]) => entries.length > 0)
    .map(([title, entries]) => `${paint("bold", title)}\n${fields(entries, paint)}`)
    .join("\n\n");
}

function freshness(status: Freshness | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["state", freshnessCell(status.state)],
        ["cursor", status.cursor],
        ["staleness", `${durationText(status.staleness)} now, ${durationText(status.worstStaleness)} at worst`],
        ["bound", durationText(status.bound)],
      ];
}

function freshnessCell(state: FreshnessState): Cell {
  const text = enumName(FreshnessState, state);
  return { text, format: state === FreshnessState.SYNCED ? "green" : "red" };
}

function cache(status: CacheStatus | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["hit ratio", ratio(status.hits, status.hits + status.misses)],
        ["hits", count(status.hits)],
        ["misses", `${count(status.misses)} (${count(status.joined)} joined a question under way)`],
        ["held", `${count(status.knownEntries)} known, ${count(status.refusedEntries)} refused`],
        ["evictions", count(status.evictions)],
      ];
}

function upstream(status: UpstreamStatus | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["url", status.url],
        ["reachable", status.reachable ? { text: "yes", format: "green" } : { text: "no", format: "red" }],
        ["last failure", status.lastFailureReason],
        ["requests", byOperation(status.requests)],
        ["failures", byOperation(status.failures)],
        ["retries", count(status.retries)],
        ["shed", count(status.shed)],
        ["now", `${count(status.inFlight)} in flight, ${count(status.queued)} queued`],
      ];
}

function revocations(status: RevocationStatus | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["live", count(status.live)],
        ["unrecorded", status.unrecorded > 0n ? { text: count(status.unrecorded), format: "red" } : "0"],
        ["watchers", `${count(status.watchers)} (${count(status.slowConsumers)} cut for reading too slowly)`],
      ];
}

function pool(status: PoolStatus | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["tokens", `${count(status.tokens)} held (${count(status.evictions)} pushed out)`],
        ["acquired", `${count(status.hits)} from memory, ${count(status.joined)} with another's creation`],
        ["creations", `${count(status.creations)} awaited, ${count(status.renewals)} ahead of need`],
        ["failures", count(status.failures)],
      ];
}

function spend(status: Spend | undefined): Entries {
  return status === undefined
    ? []
    : [
        ["spent", `${dollars(status.spentUsdMicros)} on ${spendText(status)}`],
        [
          "saved",
          {
            text: `${dollars(status.savedUsdMicros)} on ${spendText({ creations: status.savedCreations, verifications: status.savedVerifications })}`,
            format: "green",
          },
        ],
      ];
}

function spendText({ creations, verifications }: Pick<Spend, "creations" | "verifications">): string {
  return `${count(creations)} creations and ${count(verifications)} verifications`;
}

function byOperation(counts: Readonly<Record<string, bigint>>): string {
  const parts = Object.entries(counts)
    .filter(([, amount]) => amount > 0n)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([operation, amount]) => `${operation} ${count(amount)}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function count(amount: bigint): string {
  return amount.toLocaleString("en-US");
}

function ratio(part: bigint, whole: bigint): string {
  return whole === 0n ? "none yet" : `${((Number(part) / Number(whole)) * 100).toFixed(1)} %`;
}

/** To the millionth, because one verification costs ten of them. */
function dollars(micros: bigint): string {
  return (Number(micros) / 1e6).toLocaleString("en-US", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: 2,
    maximumFractionDigits: 6,
  });
}
