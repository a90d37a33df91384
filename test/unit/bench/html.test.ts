/** A run as one file: all that was found is in it, and nothing that it names can become part of the page. */
import { expect, test } from "vitest";
import { formatHtml, type Run } from "../../../bench/html.ts";

const run: Run = {
  date: "2026-01-02",
  machine: { cpu: "<script>alert(1)</script>", cores: 2 },
  scenarios: [
    {
      name: "wake",
      question: "How long & why?",
      seconds: 12,
      rows: [
        { what: "empty worker", "p50 ms": { median: 20, p10: 10, p90: 40 } },
        { what: "dormant", "p50 ms": { median: 40, p10: 30, p90: 80 }, alone: 7 },
      ],
      targets: [
        { what: "first", wanted: "≤ 1", found: 2, unit: "ms", holds: false },
        { what: "second", wanted: "≤ 1", found: 0.5, unit: "ms", holds: true },
      ],
      series: [
        {
          name: "CPU",
          unit: "cores",
          points: [
            [1, 0],
            [2, 1],
            [3, 0.5],
          ],
        },
        { name: "too short", unit: "MB", points: [[1, 1]] },
      ],
    },
  ],
};

test("shows machine, tables, targets, bars and lines, and takes nothing from elsewhere", () => {
  const html = formatHtml(run);
  expect(html).toContain("&lt;script&gt;alert(1)&lt;/script&gt;");
  expect(html).not.toMatch(/<script|<link|<img|@import|url\(|https?:/);
  expect(html).toContain("How long &amp; why?");
  expect(html).toContain('<td class="figure">40 (30–80)</td>');
  expect(html.match(/class="missed"/g)).toHaveLength(1);
  // A column that only one row has is no comparison.
  expect([...html.matchAll(/<figcaption>([^<]+)/g)].map(([, caption]) => caption)).toEqual(["p50 ms", "CPU, cores"]);
  const widths = [...html.matchAll(/class="bar" x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths).toHaveLength(2);
  expect((widths[1] ?? 0) / (widths[0] ?? 0)).toBeCloseTo(2, 1);
  const [, points = ""] = /<polyline class="line" points="([^"]+)"/.exec(html) ?? [];
  const heights = points.split(" ").map((point) => Number(point.split(",")[1]));
  expect(heights).toHaveLength(3);
  // 0, the most, and half of it: the page counts from the top.
  expect(heights[1]).toBeLessThan(heights[2] ?? 0);
  expect((heights[2] ?? 0) - (heights[1] ?? 0)).toBeCloseTo((heights[0] ?? 0) - (heights[2] ?? 0), 0);
});

test("of rows without anything measured has figures without NaN", () => {
  const rows = [
    { what: "a", calls: 0 },
    { what: "b", calls: 0 },
  ];
  const html = formatHtml({ ...run, scenarios: [{ name: "x", question: "?", seconds: 0, rows }] });
  expect(html).not.toContain("NaN");
  expect(html).not.toContain("<h2>Targets</h2>");
});
