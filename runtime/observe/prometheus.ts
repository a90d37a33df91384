/** Figures in the text format that Prometheus reads, version 0.0.4: `# HELP`, `# TYPE`, and one line for each set of labels. */

export interface Sample {
  /** Of a histogram: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export function formatFamilies(families: readonly Family[]): string {
  const lines = families.flatMap(({ name, type, help, samples }) => [
    `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(
      ({ suffix = "", labels = {}, value }) => `${name}${suffix}${formatLabels(labels)} ${formatNumber(value)}`,
    ),
  ]);
  return `${lines.join("\n")}\n`;
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const escapeValue = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

const formatNumber = (value: number): string => (value === Infinity ? "+Inf" : String(value));

/** Counts of values up to each bound, by key. */
export interface Histogram {
  observe(key: string, value: number): void;
  samples(labelsOf: (key: string) => Readonly<Record<string, string>>): readonly Sample[];
}

/** `bounds` ascend. Beyond `keysMax` keys nothing new is counted. */
export function makeHistogram(bounds: readonly number[], keysMax: number): Histogram {
  const byKey = new Map<string, { readonly counts: number[]; sum: number }>();
  return {
    observe(key, value) {
      let row = byKey.get(key);
      if (row === undefined) {
        if (byKey.size >= keysMax) return;
        row = { counts: [...bounds, Infinity].map(() => 0), sum: 0 };
        byKey.set(key, row);
      }
      row.sum += value;
      const at = bounds.findIndex((bound) => value <= bound);
      const place = at === -1 ? bounds.length : at;
      row.counts[place] = (row.counts[place] ?? 0) + 1;
    },
    samples: (labelsOf) =>
      [...byKey].flatMap(([key, { counts, sum }]) => {
        const labels = labelsOf(key);
        let below = 0;
        const buckets = counts.map((count, at): Sample => {
          below += count;
          return { suffix: "_bucket", labels: { ...labels, le: formatNumber(bounds[at] ?? Infinity) }, value: below };
        });
        return [...buckets, { suffix: "_sum", labels, value: sum }, { suffix: "_count", labels, value: below }];
      }),
  };
}
