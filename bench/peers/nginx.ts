import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Address, accepts, newAddress, socketPath } from "../kit/address.ts";
import { CannotRun } from "../kit/cannot-run.ts";
import { Child } from "../kit/child.ts";
import { findProgram } from "../kit/find-program.ts";
import type { Peer } from "./peer.ts";

/**
 * nginx with the answer as a static file: what HTTP/2 costs in a well-made C server that decides nothing. It is asked with
 * GET, which spares it the request's body, and sends no trailers.
 */
export const nginx: Peer = {
  name: "nginx",
  title: "nginx, static file",
  carriers: ["tcp", "unix"],
  prepare: async () => {
    program();
  },
  async start(world, material, carrier) {
    const address = await newAddress(carrier, world.folder);
    const folder = mkdtempSync(join(world.folder, "nginx-"));
    mkdirSync(join(folder, "www"));
    copyFileSync(material.framedAnswerFile, join(folder, "www/answer"));
    writeFileSync(join(folder, "nginx.conf"), configuration(folder, address));
    const child = await Child.start({
      command: program(),
      args: ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")],
      core: world.cores.server,
      isUp: () => accepts(address),
    });
    const { length } = readFileSync(material.framedAnswerFile);
    return {
      target: {
        address,
        path: "/answer",
        bodyFile: undefined,
        contentType: "application/grpc",
        authorization: world.caller.authorization,
        answerBytes: length,
        slackBytes: 0,
      },
      usage: () => child.usage(),
      confirm: () => Promise.resolve(),
      stop: () => child.stop(),
    };
  },
};

function program(): string {
  const path = findProgram("nginx");
  if (path === undefined) throw new CannotRun("nginx is not installed: `apt-get install nginx-light`");
  return path;
}

function configuration(folder: string, address: Address): string {
  const path = socketPath(address);
  return `daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
pid ${folder}/pid;
events { worker_connections 4096; }
http {
  access_log off;
  default_type application/grpc;
  sendfile off;
  tcp_nodelay on;
  open_file_cache max=16;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen ${path === undefined ? address.text : `unix:${path}`} http2;
    root ${folder}/www;
  }
}
`;
}
