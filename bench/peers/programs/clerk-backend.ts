/** What a service does that has no gateway: asks Clerk's SDK about each token. Behind grpc-js, to be asked the same way. */
import { createClerkClient } from "@clerk/backend";
import { status } from "@grpc/grpc-js";
import { readArguments } from "./arguments.ts";
import { serveVerifyToken } from "./grpc-js-service.ts";

const { address, answer, rest } = readArguments(process.argv.slice(2));
const [loading = "", apiUrl = ""] = rest;
const { CLERK_MACHINE_SECRET_KEY: machineSecretKey = "" } = process.env;
const clerk = createClerkClient({ apiUrl, machineSecretKey });
serveVerifyToken(address, loading, (decode) => {
  const response = decode(answer);
  return ({ request }, callback) => {
    clerk.m2m.verify({ token: request.token }).then(
      ({ revoked, expired }) => {
        if (revoked || expired) callback({ code: status.UNAUTHENTICATED });
        else callback(null, response);
      },
      () => callback({ code: status.UNAVAILABLE }),
    );
  };
});
