// Runs in a browser, on a page of the gateway's own origin.
import { ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { RevocationService } from "/dist/gen/m2mgateway/v1/revocation_service_pb.js";
import { Source, TokenService, Verdict } from "/dist/gen/m2mgateway/v1/token_service_pb.js";

const transport = createGrpcWebTransport({ baseUrl: location.origin });
const tokens = createClient(TokenService, transport);
const revocations = createClient(RevocationService, transport);

/** The story of a token, and what a wrong call gives. */
async function play() {
  const leaving = new AbortController();
  const watcher = revocations.watchRevocations({}, { signal: leaving.signal })[Symbol.asyncIterator]();
  const first = await nextNews(watcher);
  const { token, secret } = await tokens.createToken({});
  const before = [await verify(secret), await verify(secret)];
  const { cursor } = await tokens.revokeToken({ target: { case: "tokenId", value: token.id } });
  const after = await verify(secret);
  const heard = await nextNews(watcher);
  leaving.abort();
  const failure = await tokens.verifyToken({}).then(
    () => "none",
    (error) => ConnectError.from(error).code,
  );
  return {
    first: first.event.case,
    before,
    after,
    heardOf: heard.event.case === "revocation" && heard.event.value.tokenId === token.id && heard.cursor === cursor,
    failure,
    protocols: protocolsOf("VerifyToken"),
  };
}

async function verify(token) {
  const { verdict, source } = await tokens.verifyToken({ token });
  return `${Verdict[verdict]} from ${Source[source]}`;
}

async function nextNews(watcher) {
  for (;;) {
    const { value } = await watcher.next();
    if (value.event.case !== "heartbeat") return value;
  }
}

/** What the browser spoke to the gateway. */
function protocolsOf(method) {
  const calls = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(`/${method}`));
  return [...new Set(calls.map(({ nextHopProtocol }) => nextHopProtocol))];
}

globalThis.play = play;
