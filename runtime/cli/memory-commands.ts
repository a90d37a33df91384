/** `cloister memory …` on the command line. */
import type { MemoryOptions, MemorySearchOptions } from "./commands/memory.ts";
import type { Shell } from "./shell.ts";

export function addMemory({ program, context, exit }: Shell): void {
  const memory = program.command("memory").description("notes that agents search");
  const ofAgent = (name: string, description: string) =>
    memory
      .command(name)
      .description(description)
      .option("--agent <id>", "the memory of this agent (default: the default agent)");
  ofAgent("status", "what an agent's memory consists of, and what of it is not indexed")
    .option("--json", "print JSON")
    .action(async (options: MemoryOptions) => {
      const { runMemoryStatus } = await import("./commands/memory.ts");
      exit(await runMemoryStatus(context(), options));
    });
  ofAgent("index", "read changed notes now; a search does it by itself")
    .option("--force", "make the index anew")
    .option("--json", "print JSON")
    .action(async (options: MemoryOptions & { readonly force?: boolean }) => {
      const { runMemoryIndex } = await import("./commands/memory.ts");
      exit(await runMemoryIndex(context(), options));
    });
  ofAgent("search <words...>", "what the agent would find")
    .option("--collection <name>", "only in this collection")
    .option("--max <count>", "hits at the most")
    .option("--json", "print JSON")
    .action(async (words: readonly string[], options: MemorySearchOptions) => {
      const { runMemorySearch } = await import("./commands/memory.ts");
      exit(await runMemorySearch(context(), words.join(" "), options));
    });
}
