/** `tools.exec`, `tools.elevated` and their forms for one agent. Source: behaviour §1.6, §7.5. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { inert, key, later } from "./note.ts";
import { anyValue, filledText, texts } from "./values.ts";

export const exec = () =>
  z.strictObject({
    host: key(
      "Where commands run: `auto` (default) in the sandbox of sandboxed sessions and on the host for others; `sandbox` refuses those of others. `gateway` is as `auto`: nothing but `elevated` leaves a sandbox.",
      z.enum(["auto", "sandbox", "gateway"]).optional(),
    ),
    security: key(
      "Which commands may run: none (`deny`), those of `allow` (`allowlist`), all (`full`). Default: `allowlist` on the host, `full` in a sandbox. What is set counts for both.",
      z.enum(["deny", "allowlist", "full"]).optional(),
    ),
    ask: key(
      "When an operator is asked: never (`off`), for what `allow` does not name (`on-miss`), always. Default: `on-miss` on the host, `off` in a sandbox.",
      z.enum(["off", "on-miss", "always"]).optional(),
    ),
    allow: key(
      "Commands by their first words: a name of the PATH or an absolute path, and words that follow (`git status`). More words may follow. A command that needs a shell is one of `/bin/sh`.",
      z.array(filledText()).optional(),
    ),
    timeoutSec: key(
      "Seconds after which a command is ended, unless its call says otherwise. Default: 1800.",
      z
        .number()
        .positive()
        .max(limits.execTimeoutMsMax / 1_000)
        .optional(),
    ),
    backgroundMs: key(
      "Milliseconds that a call waits before its command goes on in the background. Default: 10000.",
      z.int().min(10).max(limits.execYieldMsMax).optional(),
    ),
    pathPrepend: key(
      "Folders before the usual ones of PATH.",
      z.array(z.string().regex(/^\/[^:]*$/, "must be an absolute path")).optional(),
    ),
    safeBins: inert("Programs that only read their input.", "Name them in `allow`.", texts().optional()),
    notifyOnExit: key(
      "Tells the session when a command in the background ends, in a turn of its own. Default: true.",
      z.boolean().optional(),
    ),
    notifyOnExitEmptySuccess: key(
      "Also of one that succeeded and wrote nothing. Default: false.",
      z.boolean().optional(),
    ),
    node: later("commands on nodes", "Node that commands run on.", anyValue()),
    applyPatch: key(
      "The tool apply_patch. An agent's own stands for the one of all, as a whole.",
      z
        .strictObject({
          enabled: key("`false` takes it away. Default: true.", z.boolean().optional()),
          allowModels: key(
            "Models that have it, as `provider/model` or the model's name at its provider; none named: all.",
            z.array(filledText()).max(limits.patchModelsMax).optional(),
          ),
          workspaceOnly: later(
            "files outside of the workspace",
            "Its files are those of the session's folder. `false` would be others as well.",
            z.boolean().optional(),
            (value) => value === false,
          ),
        })
        .optional(),
    ),
  });

export type WrittenExec = z.output<ReturnType<typeof exec>>;

export const elevated = (of: "all" | "agent") =>
  z.strictObject({
    enabled: key(
      of === "all"
        ? "Lets calls of `exec` with `elevated: true` leave the sandbox, judged as on the host. Default: false."
        : "False takes it from this agent; nothing here gives it.",
      z.boolean().optional(),
    ),
    allowFrom: key(
      of === "all"
        ? "Who may have it, by channel: ids of senders, or `*`. The operator needs no entry."
        : "Of those, only these, by channel.",
      z.record(z.string(), z.array(z.union([z.string(), z.number()]))).optional(),
    ),
  });

export type WrittenElevated = z.output<ReturnType<typeof elevated>>;
