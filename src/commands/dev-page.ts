interface DevPage {
  readonly rpc: string;
  readonly admin: string;
  readonly emulator: string;
  readonly machines: readonly { readonly name: string; readonly id: string }[];
  /** The machine that the gateway acts as. */
  readonly own: string;
  readonly tokenId: string;
  readonly secret: string;
  /** Whether its machine is known to grant access to itself, as JWTs that the gateway accepts must. */
  readonly isGrantedToItself: boolean;
  readonly invocation: string;
}

const DEFAULT_RPC = "http://127.0.0.1:50051";

/** What a newcomer sees first: where everything is, and calls that work as they stand. */
export function devPage(page: DevPage): string {
  const { rpc, admin, emulator, machines, own, tokenId, secret } = page;
  const cli = rpc === DEFAULT_RPC ? page.invocation : `${page.invocation} --gateway ${rpc}`;
  const rows = machines.map(({ name, id }) => `  ${name.padEnd(12)} ${id}${name === own ? "  (this gateway)" : ""}`);
  return `m2m-gateway is ready.

  gRPC, gRPC-Web, Connect   ${rpc}
  console, health, metrics  ${admin}
  emulated Clerk API        ${emulator}

Machines:
${rows.join("\n")}

A token to try (id ${tokenId}):
  ${secret}

In another terminal, watch revocations as they happen:
  ${cli} revocations watch

In a third one, verify the token: from the upstream first, from memory the second time.
  # Connect, JSON over HTTP/1.1
  curl -s ${rpc}/m2mgateway.v1.TokenService/VerifyToken -H 'content-type: application/json' -d '{"token":"${secret}"}'

  # gRPC through server reflection
  npx buf curl --protocol grpc --http2-prior-knowledge -d '{"token":"${secret}"}' ${rpc}/m2mgateway.v1.TokenService/VerifyToken

  # the command line; secrets are read from standard input
  echo ${secret} | ${cli} token verify

Revoke it, then verify it again:
  ${cli} token revoke --id ${tokenId} --reason "trying it out"

${page.isGrantedToItself ? jwtCalls(cli) : ""}Mint another, and see what was spent and saved:
  ${cli} token create --ttl 1h
  ${cli} status

Stop with Ctrl-C.
`;
}

function jwtCalls(cli: string): string {
  return `Mint a JWT, which the gateway checks by itself, with the upstream's public key:
  ${cli} token create --format jwt | ${cli} token verify

`;
}
