/**
 * Paths as commands of a sandbox see them: `/workspace/a.txt` there is `a.txt` in the folder that the file tools have. So a model may
 * use one name for a file in both.
 */
import { marks } from "./patch.ts";

/** The parameters with paths below the root. */
export function fromInside(inside: string | undefined, params: object): object {
  if (inside === undefined) return params;
  const below = (path: string): string =>
    path === inside ? "." : path.startsWith(`${inside}/`) ? path.slice(inside.length + 1) || "." : path;
  if ("path" in params && typeof params.path === "string") return { ...params, path: below(params.path) };
  if ("input" in params && typeof params.input === "string") {
    const lines = params.input.split("\n").map((line) => {
      const mark = Object.values(marks).find((one) => line.startsWith(one));
      return mark === undefined ? line : `${mark}${below(line.slice(mark.length).trim())}`;
    });
    return { ...params, input: lines.join("\n") };
  }
  return params;
}
