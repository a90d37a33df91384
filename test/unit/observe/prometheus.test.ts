/** The text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
import { expect, it } from "vitest";
import { formatFamilies, makeHistogram } from "../../../runtime/observe/prometheus.ts";

it("writes help, type and one line for each set of labels, with what would break a line escaped", () => {
  expect(
    formatFamilies([
      {
        name: "a_total",
        type: "counter",
        help: "one\nof \\ them",
        samples: [{ value: 1.5 }, { labels: { x: 'say "hi"\\\n', y: "z" }, value: 0 }],
      },
      { name: "empty", type: "gauge", help: "nothing yet", samples: [] },
    ]),
  ).toBe(
    [
      "# HELP a_total one\\nof \\\\ them",
      "# TYPE a_total counter",
      "a_total 1.5",
      'a_total{x="say \\"hi\\"\\\\\\n",y="z"} 0',
      "# HELP empty nothing yet",
      "# TYPE empty gauge",
      "",
    ].join("\n"),
  );
});

it("a histogram counts up to each bound, the bound included, and takes no more keys than it may", () => {
  const histogram = makeHistogram([1, 5], 1);
  for (const value of [0.5, 1, 4, 9]) histogram.observe("main", value);
  histogram.observe("other", 1);
  const samples = histogram.samples((agent) => ({ agent }));
  const agent = "main";
  expect(samples).toEqual([
    { suffix: "_bucket", labels: { agent, le: "1" }, value: 2 },
    { suffix: "_bucket", labels: { agent, le: "5" }, value: 3 },
    { suffix: "_bucket", labels: { agent, le: "+Inf" }, value: 4 },
    { suffix: "_sum", labels: { agent }, value: 14.5 },
    { suffix: "_count", labels: { agent }, value: 4 },
  ]);
});
