/** The actor modules of the tests (`test/fixtures/actors`), as the configuration of an agent names them. */
import { fileURLToPath } from "node:url";

export function actorPath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/actors/${name}.ts`, import.meta.url));
}

export function actor(name: string): { readonly module: string; readonly moduleKind: "file" } {
  return { module: actorPath(name), moduleKind: "file" };
}
