/** `cloister actor …` on the command line: for authors of actor modules. */
import type { ActorCheckOptions } from "./commands/actor-check.ts";
import { collect, jsonObject } from "./options.ts";
import type { Shell } from "./shell.ts";

export function addActor({ program, context, exit }: Shell): void {
  program
    .command("actor")
    .description("for authors of actor modules")
    .command("check")
    .description(
      "load a module as a gateway does; with --say, talk with it and crash it at every point. Needs no gateway",
    )
    .argument("<file>", "the module")
    .option("--say <text>", "what a person says to it; repeat it for a conversation", collect)
    .option("--options <json>", "`options` of its agent, an object", jsonObject)
    .option("--model-says <text>", "what its model answers; repeat it for more answers", collect)
    .option("--beside <id=text>", "another agent, and what it always answers; repeat it for more", collect)
    .option("--json", "print JSON")
    .action(async (file: string, options: ActorCheckOptions) => {
      const { runActorCheck } = await import("./commands/actor-check.ts");
      exit(await runActorCheck(context(), file, options));
    });
}
