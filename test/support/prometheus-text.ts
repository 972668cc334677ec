/** One sample of the Prometheus text format. */
export interface Sample {
  readonly family: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads a whole page. @throws Error at a line that is not of the format, or a sample outside its family */
export function parsePrometheus(page: string): Sample[] {
  const samples: Sample[] = [];
  let family = "";
  for (const line of page.split("\n")) {
    family = /^# TYPE (\S+) (?:counter|gauge|histogram|summary)$/.exec(line)?.[1] ?? family;
    if (line === "" || /^# (HELP|TYPE) \w+ ./.test(line)) continue;
    const [, name, labels, value] = /^(\w+)(?:\{((?:\w+="[^"\\]*",?)*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || !name.startsWith(family)) throw new Error(`not of the family ${family}: ${line}`);
    const pairs = [...(labels ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text]);
    samples.push({ family, name, labels: Object.fromEntries(pairs), value: Number(value?.replace("Inf", "Infinity")) });
  }
  return samples;
}
