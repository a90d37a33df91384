/** Rows that the store gives back as it has them: those that have their form. */
import type { z } from "zod";

export function wholeRows<T extends z.ZodType>(rows: readonly unknown[], form: T): readonly z.output<T>[] {
  return rows.flatMap((row) => {
    const parsed = form.safeParse(row);
    return parsed.success ? [parsed.data] : [];
  });
}
