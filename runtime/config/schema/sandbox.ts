/** `agents.defaults.sandbox` and `agents.list[].sandbox`. Source: behaviour §7.1. */
import * as z from "zod";
import { limits } from "../../kernel/limits.ts";
import { inert, key, later } from "./note.ts";
import { anyMap, anyValue, filledText, sandboxMode, texts } from "./values.ts";

const backendFeature = "other sandboxes than bubblewrap and docker";

const wantedMemory = "must be bytes, more than none, or a text such as 512m";

const docker = () =>
  z.strictObject({
    image: key(
      "Image of the containers; it has to be there, nothing is pulled. Default: `debian:stable-slim`.",
      z
        .string()
        .regex(/^[A-Za-z0-9]\S*$/, "must be the name of an image, such as debian:stable-slim")
        .optional(),
    ),
    network: key(
      "Network of the containers: `none` (default), `bridge`, or a network of docker. Bubblewrap has none alone; `host` is refused.",
      filledText().optional(),
    ),
    readOnlyRoot: key(
      "Whether commands may change files outside of their folder and the temporary ones. Default: true.",
      z.boolean().optional(),
    ),
    user: key(
      "`uid:gid` of commands in a container. Default: the owner of the folder, 1000:1000 for a folder of root.",
      z
        .string()
        .regex(/^\d+(?::\d+)?$/, "must be numbers, such as 1000:1000")
        .optional(),
    ),
    capDrop: key(
      "Capabilities that containers lose, that of `setupCommand` as well. Default: ALL for commands, but for DAC_OVERRIDE where `user` is root and the folder is another's; none for `setupCommand`.",
      texts().optional(),
    ),
    tmpfs: key(
      "Temporary folders of a container, with docker's options behind a colon. Default: /tmp, /var/tmp and /run.",
      z.array(z.string().regex(/^\/\S*$/, "must be an absolute path, such as /tmp or /tmp:size=64m")).optional(),
    ),
    memory: key(
      "Memory: of a container, or of each process in bubblewrap; bytes, or with `k`, `m` or `g`. Default: 2g.",
      z
        .union([z.int().positive(), z.string().regex(/^(?=.*[1-9])\d+(?:\.\d+)?[kmg]?b?$/i, wantedMemory)], {
          error: wantedMemory,
        })
        .optional(),
    ),
    cpus: key("Processors of a container. Default: all.", z.number().positive().optional()),
    pidsLimit: key(
      `Processes at a time; in bubblewrap not counted when the gateway runs as root. Default: ${limits.execBoxProcesses}.`,
      z.int().positive().optional(),
    ),
    binds: key(
      "More of the host: `source:target`, `source:target:ro` (default) or `:rw`. No state of the gateway, no other agent's folders.",
      z
        .array(
          z.string().regex(/^\/[^:]*:\/[^:]*(?::(?:ro|rw))?$/, "must be /source:/target, with :ro or :rw behind it"),
        )
        .optional(),
    ),
    env: key(
      "Variables of every command; an agent's own stand beside those of all.",
      z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).optional(),
    ),
    setupCommand: key(
      'Run once in a container (`sh -lc`), whose files become the image of all later ones. It needs `network`, `readOnlyRoot: false` and `user: "0:0"`. Docker alone.',
      filledText().optional(),
    ),
    containerPrefix: inert("Names of containers.", "Containers live as long as one command.", anyValue()),
    workdir: inert("Folder of commands.", "It is /workspace, and /agent where that may only be read.", anyValue()),
    memorySwap: later(backendFeature, "Swap of a container.", anyValue()),
    ulimits: later(backendFeature, "Limits of a container.", anyValue()),
    seccompProfile: later(backendFeature, "System calls of a container.", anyValue()),
    apparmorProfile: later(backendFeature, "AppArmor profile of a container.", anyValue()),
    dns: later(backendFeature, "Name servers of a container.", anyValue()),
    extraHosts: later(backendFeature, "Hosts of a container.", anyValue()),
  });

export type WrittenDocker = z.output<ReturnType<typeof docker>>;

export const sandboxKeys = () => ({
  mode: key(
    "Which sessions are sandboxed: their commands run in `backend`, their tools are those of `tools.sandbox.tools`, their files where `workspaceAccess` says.",
    sandboxMode().optional(),
  ),
  scope: key(
    "Whose folder a sandboxed session has without the workspace: its own, that of its agent (default), or one for all, which has the settings of `agents.defaults.sandbox.docker` alone.",
    z.enum(["session", "agent", "shared"]).optional(),
  ),
  workspaceAccess: key(
    "What a sandboxed session sees of the agent's workspace: nothing, but a folder of the sandbox (`none`, default), all of it to read (`ro`, at /agent), or to change (`rw`, at /workspace).",
    z.enum(["none", "ro", "rw"]).optional(),
  ),
  backend: key(
    "What runs commands of sandboxed sessions. Default: `docker` where `docker` is set, else `bubblewrap`.",
    z.enum(["bubblewrap", "docker"], { error: 'must be "bubblewrap" or "docker", which this version has' }).optional(),
  ),
  workspaceRoot: key(
    "Where the folders of sandboxes are. Default: `sandboxes` in the state directory.",
    filledText().optional(),
  ),
  docker: key("Settings of the sandbox; bubblewrap goes by those that say so.", docker().optional()),
  browser: later(backendFeature, "Browser in the sandbox.", anyMap().optional()),
  ssh: later(backendFeature, "Settings of the ssh backend.", anyMap().optional()),
  prune: inert("When unused containers go.", "A container lives as long as one command.", anyMap().optional()),
});
