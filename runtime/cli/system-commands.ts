/** `cloister system …` on the command line: what the gateway tells agents by itself. */
import type { EventOptions, SystemOptions } from "./commands/system.ts";
import type { Shell } from "./shell.ts";

export function addSystem({ program, context, exit }: Shell): void {
  const system = program.command("system").description("tell an agent something that is nobody's word, and heartbeats");
  system
    .command("event")
    .description("tell the main session of an agent something")
    .requiredOption("--text <text>", "what")
    .option("--agent <id>", "the agent (default: the default one)")
    .option("--mode <when>", "now, or next-heartbeat", "now")
    .option("--json", "print JSON")
    .action(async (options: EventOptions) => {
      const { runSystemEvent } = await import("./commands/system.ts");
      exit(await runSystemEvent(context(), options));
    });
  const heartbeat = system.command("heartbeat").description("the regular turns of agents");
  heartbeat
    .command("last")
    .description("how the last one ended")
    .option("--agent <id>", "of this agent")
    .option("--json", "print JSON")
    .action(async (options: SystemOptions) => {
      const { runHeartbeatLast } = await import("./commands/system.ts");
      exit(await runHeartbeatLast(context(), options));
    });
  for (const [name, enabled, text] of [
    ["enable", true, "let them happen again, from now on"],
    ["disable", false, "let none happen, also after a restart"],
  ] as const)
    heartbeat
      .command(name)
      .description(text)
      .option("--json", "print JSON")
      .action(async (options: SystemOptions) => {
        const { runSetHeartbeats } = await import("./commands/system.ts");
        exit(await runSetHeartbeats(context(), enabled, options));
      });
}
