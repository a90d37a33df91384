/** The actor modules of the tests (`test/fixtures/actors`), as the configuration of an agent names them. */
import { fileURLToPath } from "node:url";

export function actorPath(name: string): string {
  return fileURLToPath(new URL(`../fixtures/actors/${name}.ts`, import.meta.url));
}

/** One of `test/fixtures/modules`, which are no actors. */
export function moduleOf(name: string): { readonly module: string; readonly moduleKind: "file" } {
  return { module: fileURLToPath(new URL(`../fixtures/modules/${name}`, import.meta.url)), moduleKind: "file" };
}

export function actor(name: string): { readonly module: string; readonly moduleKind: "file" } {
  return { module: actorPath(name), moduleKind: "file" };
}
