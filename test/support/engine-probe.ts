import { type EngineCounts, Http2Engine } from "../../src/http2/engine.ts";

/**
 * Watches every engine of this process from now on, whoever makes it: a server does not give its own away. Gives what is
 * open in all of them.
 */
export function probeEngines(): () => EngineCounts {
  const engines = new Set<Http2Engine>();
  const accept = Http2Engine.prototype.accept;
  Http2Engine.prototype.accept = function (this: Http2Engine, socket) {
    engines.add(this);
    accept.call(this, socket);
  };
  return () => {
    const counts = [...engines].map((engine) => engine.counts);
    const sum = (name: keyof EngineCounts) => counts.reduce((total, each) => total + each[name], 0);
    return { connections: sum("connections"), streams: sum("streams"), unreadBytes: sum("unreadBytes") };
  };
}
