/** One step of a stage: `RUN` and what follows it, with variables put in. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** What an image says about how it is run. */
export interface ImageConfig {
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** `user:group`, both numbers. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly stopSignal: string;
}

/** Reads a Dockerfile as far as ours goes. @throws Error at an instruction that is not understood */
export function parseDockerfile(text: string): Stage[] {
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  const globals: Record<string, string> = {};
  let variables: Record<string, string> = {};
  for (const line of logicalLines(text)) {
    const [, name = "", raw = ""] = /^([A-Z]+)\s+(.*)$/s.exec(line) ?? [];
    const stage = stages.at(-1);
    const value = substitute(raw, stage === undefined || name === "FROM" ? globals : variables);
    if (name === "FROM") {
      const [, base = "", as = ""] = /^(\S+) AS (\S+)$/.exec(value) ?? [];
      stages.push({ name: as, base, instructions: [] });
      variables = {};
    } else if (name === "ARG") {
      const [key = "", initial = ""] = value.split("=");
      if (stage === undefined) globals[key] = initial;
      else variables[key] = initial;
    } else if (KNOWN.has(name) && stage !== undefined) stage.instructions.push({ name, text: value });
    else throw new Error(`Dockerfile: not understood here: ${line}`);
  }
  return stages;
}

const KNOWN = new Set([
  "WORKDIR",
  "COPY",
  "RUN",
  "ENV",
  "LABEL",
  "USER",
  "EXPOSE",
  "STOPSIGNAL",
  "HEALTHCHECK",
  "ENTRYPOINT",
  "CMD",
]);

/** What the instructions of the last stage come to. */
export function imageConfig({ instructions }: Stage): ImageConfig {
  const last = (name: string) => instructions.findLast((instruction) => instruction.name === name)?.text ?? "";
  const pairs = (name: string) =>
    Object.fromEntries(
      instructions.filter((instruction) => instruction.name === name).flatMap(({ text }) => pairsOf(text)),
    );
  return {
    workdir: last("WORKDIR"),
    env: pairs("ENV"),
    user: last("USER"),
    entrypoint: list(last("ENTRYPOINT")),
    command: list(last("CMD")),
    healthcheck: list(last("HEALTHCHECK").replace(/^.*?\bCMD /, "")),
    labels: pairs("LABEL"),
    stopSignal: last("STOPSIGNAL"),
  };
}

/** Comments left out, continued lines joined. */
function logicalLines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replace(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line !== "");
}

function substitute(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => variables[name] ?? "");
}

function pairsOf(text: string): [string, string][] {
  return [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, key = "", quoted, bare]) => [
    key,
    quoted ?? bare ?? "",
  ]);
}

function list(json: string): string[] {
  return JSON.parse(json) as string[];
}
