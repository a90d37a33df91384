/** Writes the generated parts of `docs/reference` from the code: `node test/repo/write-reference.ts`. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { readText, root } from "./files.ts";
import { generatedParts, replacePart } from "./reference.ts";

for (const { file, name, make } of generatedParts) {
  const before = readText(file);
  const after = replacePart(before, name, await make());
  if (after !== before) {
    writeFileSync(path.join(root, file), after);
    console.log(`wrote ${file}`);
  }
}
