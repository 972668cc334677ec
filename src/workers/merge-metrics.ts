/** One worker's metrics in the Prometheus text format. */
export interface WorkerPage {
  readonly worker: string;
  readonly text: string;
}

/** One page with the samples of all workers, told apart by the label `worker`. */
export function mergeMetrics(pages: readonly WorkerPage[]): string {
  const families = new Map<string, { readonly comments: string[]; readonly samples: string[] }>();
  for (const { worker, text } of pages) {
    const seen = new Set(families.keys());
    let current = "";
    for (const line of text.split("\n")) {
      const comment = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      current = comment?.[1] ?? current;
      const family = families.get(current) ?? { comments: [], samples: [] };
      families.set(current, family);
      if (comment !== null) {
        if (!seen.has(current)) family.comments.push(line);
      } else if (line !== "" && !line.startsWith("#")) family.samples.push(labelled(line, worker));
    }
  }
  return [...families.values()].map(({ comments, samples }) => `${[...comments, ...samples].join("\n")}\n`).join("\n");
}

function labelled(sample: string, worker: string): string {
  const at = sample.search(/[{ ]/);
  const name = sample.slice(0, at);
  const rest = sample.slice(at + 1);
  return sample[at] === "{" ? `${name}{worker="${worker}",${rest}` : `${name}{worker="${worker}"} ${rest}`;
}
