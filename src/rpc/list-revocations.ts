import type { ServiceImpl } from "@connectrpc/connect";
import type { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { type Cursor, formatCursor, parseCursor, startOf } from "../token/cursor.ts";
import { GatewayError } from "../token/errors.ts";
import { machineOf } from "../token/facts.ts";
import type { LogEntry } from "../token/ports.ts";
import type { Revocations } from "../token/revocations.ts";
import { callerOf } from "./call-context.ts";
import { visibleSubjects } from "./caller-subjects.ts";
import { wireRevocation } from "./convert.ts";
import { formatPageToken, parsePageToken } from "./page-token.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

const DEFAULT_PAGE_SIZE = 100;
const BATCH = 256;

export function createListRevocations({
  revocations,
}: RpcDependencies): ServiceImpl<typeof RevocationService>["listRevocations"] {
  return ({ pageSize, pageToken, subjects: named }, { values }) => {
    const subjects = visibleSubjects(callerOf(values), named);
    const question = ["revocations", ...[...subjects].sort()];
    const after =
      pageToken === "" ? startOf(revocations.applied.epoch) : parseCursor(parsePageToken(pageToken, question));
    if (after.epoch !== revocations.applied.epoch) {
      throw new GatewayError("PAGE_TOKEN_INVALID", "the log has started over since that page; list from the beginning");
    }
    const limit = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
    const found = find(revocations, after, subjects, limit + 1);
    const page = found.slice(0, limit);
    const last = page.at(-1);
    return {
      revocations: page.map(wireRevocation),
      nextPageToken:
        found.length > limit && last !== undefined ? formatPageToken(formatCursor(last.cursor), question) : "",
    };
  };
}

function find(revocations: Revocations, after: Cursor, subjects: ReadonlySet<string>, limit: number): LogEntry[] {
  const found: LogEntry[] = [];
  for (let position = after; ; ) {
    const batch = revocations.after(position, BATCH);
    for (const entry of batch) {
      const subject = machineOf(entry.fact);
      if (subjects.size === 0 || subject === undefined || subjects.has(subject)) found.push(entry);
      if (found.length === limit) return found;
    }
    const last = batch.at(-1);
    if (last === undefined) return found;
    position = last.cursor;
  }
}
