/** `cloister nodes …` on the command line. */
import type { NodesOptions } from "./commands/nodes.ts";
import { jsonObject } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addNodes({ program, context, exit }: Shell): void {
  const nodes = program.command("nodes").description("devices that do things when they are asked");
  nodes
    .command("list", { isDefault: true })
    .description("list the nodes, with what each may be asked (the default)")
    .option("--json", "print JSON")
    .action(async (options: NodesOptions) => {
      const { runNodesList } = await import("./commands/nodes.ts");
      exit(await runNodesList(context(), options));
    });
  nodes
    .command("describe <node>")
    .description("show one node: what it may be asked for, what waits for an approval, what the config denies")
    .option("--json", "print JSON")
    .action(async (node: string, options: NodesOptions) => {
      const { runNodesDescribe } = await import("./commands/nodes.ts");
      exit(await runNodesDescribe(context(), node, options));
    });
  nodes
    .command("invoke <node> <command>")
    .description("ask a node to do something, and print its answer as JSON")
    .option("--params <json>", "what the command takes", jsonObject, {})
    .action(async (node: string, command: string, { params }: { readonly params: object }) => {
      const { runNodesInvoke } = await import("./commands/nodes.ts");
      exit(await runNodesInvoke(context(), node, command, params));
    });
}
