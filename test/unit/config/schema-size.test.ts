import type * as z from "zod";
import { expect, it } from "vitest";
import { configSchema } from "../../../runtime/config/schema.ts";
import { findItems, findShape, unwrap } from "../../../runtime/config/schema/note.ts";

/** Each schema of a key takes time at every start, and memory for as long as the gateway runs. */
it("the schema of the configuration is made of far fewer schemas than it has keys: what channels and agents share is made once", () => {
  const made = new Set<z.core.$ZodType>();
  let keys = 0;
  const walk = (node: z.core.$ZodType): void => {
    keys += 1;
    made.add(node);
    const { schema } = unwrap(node);
    for (const child of Object.values(findShape(schema) ?? {})) walk(child);
    const items = findItems(schema);
    if (items !== undefined) walk(items.schema);
  };
  walk(configSchema);
  expect(keys).toBeGreaterThan(2_000);
  expect(made.size).toBeLessThan(keys / 3);
});
