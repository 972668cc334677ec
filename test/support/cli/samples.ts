import { create, fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type Revocation,
  RevocationSchema,
  RevocationSource,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from "../../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { type M2MToken, M2MTokenSchema, TokenFormat } from "../../../src/gen/m2mgateway/v1/token_service_pb.ts";

export const SUBJECT = "mch_2xhFjEI5X2qWRvtV13BzSj8H6Dk";
export const TOKEN_ID = "mt_f7f0ba8c3b4843ce7d85fcdd5e71853e";
export const SECRET = "mt_ThisIsTheSecretOfTheTokenAndMustNotBeSeen0123456";
export const JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtY2hfMSJ9.c2lnbmF0dXJl";
const TIME = timestampFromMs(Date.UTC(2026, 10, 23, 12, 0, 0));

/** A live token, with the fields given instead of its own. */
export function token(over: MessageInitShape<typeof M2MTokenSchema> = {}): M2MToken {
  return create(M2MTokenSchema, {
    id: TOKEN_ID,
    subject: SUBJECT,
    format: TokenFormat.OPAQUE,
    scopes: [SUBJECT],
    createTime: TIME,
    updateTime: TIME,
    expireTime: timestampFromMs(Date.UTC(2099, 0, 1)),
    ...over,
  });
}

export function value(json: JsonValue) {
  return fromJson(ValueSchema, json);
}

/** The nth revocation of a log; its token's id ends in n. */
export function revocation(n: number, over: MessageInitShape<typeof RevocationSchema> = {}): Revocation {
  return create(RevocationSchema, {
    tokenId: `mt_${n.toString().padStart(32, "0")}`,
    subject: SUBJECT,
    reason: `reason ${n}`,
    revokeTime: TIME,
    source: RevocationSource.API,
    origin: "replica-1",
    cursor: `e.${n}-0`,
    ...over,
  });
}

type Event = MessageInitShape<typeof WatchRevocationsResponseSchema>["event"];

/** A message of the stream. A cursor of "" is what messages inside a snapshot carry. */
export function watched(cursor: string, event: Event & object): WatchRevocationsResponse {
  return create(WatchRevocationsResponseSchema, { cursor, event });
}
