import type { ServiceImpl } from "@connectrpc/connect";
import type { TokenService } from "../gen/m2mgateway/v1/token_service_pb.ts";
import type { MachineId } from "../token/token.ts";
import { callerOf, servicesOf } from "./call-context.ts";
import { demandSubject } from "./caller-subjects.ts";
import { wireToken } from "./convert.ts";
import { formatPageToken, pageTokenInvalid, parsePageToken } from "./page-token.ts";
import type { RpcDependencies } from "./rpc-dependencies.ts";

const DEFAULT_PAGE_SIZE = 10;

export function createListTokens(dependencies: RpcDependencies): ServiceImpl<typeof TokenService>["listTokens"] {
  return async ({ subject, includeRevoked, includeExpired, pageSize, pageToken }, { signal, values }) => {
    const { upstream } = servicesOf(values, dependencies);
    demandSubject(callerOf(values), subject);
    const question = ["tokens", subject, String(includeRevoked), String(includeExpired)];
    const offset = pageToken === "" ? 0 : offsetFrom(parsePageToken(pageToken, question));
    const limit = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
    const page = await upstream.listTokens(
      { subject: subject as MachineId, includeRevoked, includeExpired, limit, offset },
      signal,
    );
    const next = offset + page.tokens.length;
    const isLast = page.tokens.length === 0 || next >= page.totalCount;
    return {
      tokens: page.tokens.map(wireToken),
      nextPageToken: isLast ? "" : formatPageToken(String(next), question),
      totalSize: BigInt(page.totalCount),
    };
  };
}

function offsetFrom(position: string): number {
  if (!/^\d{1,9}$/.test(position)) throw pageTokenInvalid();
  return Number(position);
}
