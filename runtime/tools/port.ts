/** What crosses between the tools' thread and the kernel's. The thread decides no right: what reaches it has been judged. */

import type { SecretText } from "../broker/port.ts";
import type { OutboundMessage, SendResult } from "../../channels/port.ts";
import type { HeldMemory } from "../thread/process-port.ts";

export interface ToolsInit {
  /** The names of all commands of the thread begin with it: so they are found when the thread is lost. */
  readonly name: string;
}

export interface HostCall {
  readonly tool: string;
  /** The parameters as the cell wrote them (JSON); nobody has read them before. */
  readonly params: string;
  /** The folder that file tools see; made when it is missing. */
  readonly root: string;
  /** What the folder is called where commands see it: a path below it is one below the root. */
  readonly inside?: string;
  /** Folders beside it that may be read, by paths that are absolute. */
  readonly beside?: readonly Beside[];
  /** A model may be shown pictures of the root: it is the agent's workspace. */
  readonly showsPictures?: boolean;
}

export interface Beside {
  readonly root: string;
  /** Of it, relative to it; absent: all. */
  readonly folders?: readonly string[];
}

export type BoxBackend = "bubblewrap" | "docker";

/** Of docker: whoever reaches it could start anything. What it is called, and where it usually is. */
export const engineSocket = "docker.sock";
export const engineSockets = ["/run/docker.sock", "/var/run/docker.sock"] as const;

/** Where a command runs. `host`: with the rights of the gateway's user, or of the owner of the folder where the gateway is root. */
export type Place = { readonly type: "host"; readonly folder: string } | Box;

/** A sandbox, as a command sees it: nothing of the host but what is named here and the system's programs. */
export interface Box {
  readonly type: BoxBackend;
  /** Of the host; made when it is missing. */
  readonly folder: string;
  /** Where the command finds it. */
  readonly inside: string;
  readonly writable: boolean;
  /** Places of the host that nothing may show: the gateway's state, other agents' workspaces. */
  readonly hidden: readonly string[];
  readonly settings: BoxSettings;
}

/** `sandbox.docker.*` of the config, with its defaults; `user`, `image`, `cpus`, `capDrop` and `setupCommand` are docker's alone. */
export interface BoxSettings {
  readonly image: string;
  readonly network: string;
  readonly readOnlyRoot: boolean;
  /** `uid:gid`; absent: the owner of the folder, and 1000:1000 for a folder of root. */
  readonly user?: string;
  /** Absent: all for commands, but for what root needs in the folder of another; none for the `setupCommand`. */
  readonly capDrop?: readonly string[];
  readonly tmpfs: readonly string[];
  readonly memoryBytes: number;
  readonly cpus?: number;
  readonly processesMax: number;
  readonly binds: readonly BoxBind[];
  readonly env: Readonly<Record<string, string>>;
  /** Run once in a container whose state becomes the image of all later ones. */
  readonly setupCommand?: string;
}

export interface BoxBind {
  readonly from: string;
  readonly to: string;
  readonly writable: boolean;
}

export interface CommandAsked {
  readonly command: string;
  /** As the call gave it. */
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly place: Place;
  readonly pathPrepend: readonly string[];
  /** A command of plain words becomes a vector without a shell, so that a list of programs can judge it. */
  readonly plain: boolean;
}

/** What is run, as it is shown, judged, bound by an approval and executed: nothing reads it again in between. */
export interface CommandVector {
  readonly argv: readonly string[];
  /** As the command sees it. */
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

export type CommandPlan =
  | {
      readonly ok: true;
      readonly vector: CommandVector;
      /** The file that the first word means, where the host can tell; a shell is one as well. */
      readonly program: string | undefined;
    }
  | { readonly ok: false; readonly result: object };

/** Whose a command is. `entry` and `turn` say which cell, and which turn of it, asked. */
export interface CommandOwner {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly entry: string;
  readonly turn: number;
}

export interface CommandStart {
  readonly vector: CommandVector;
  readonly place: Place;
  readonly owner: CommandOwner;
  /** Its end is told when it goes on in the background. */
  readonly tellsEnd: boolean;
  /** 0: at once in the background, with its input open. */
  readonly yieldMs: number;
  readonly timeoutMs: number;
}

/** A command that went on in the background has ended. */
export interface CommandEnd {
  readonly processId: string;
  /** As it was asked for. */
  readonly command: string;
  readonly exitCode: number | null;
  readonly signal?: string;
  /** Absent: by itself. */
  readonly endedBy?: string;
  readonly ranMs: number;
  /** The last of it, and how many characters it was in all. */
  readonly output: string;
  readonly outputChars: number;
}

/** A `setupCommand` has run. */
export interface SetupEnd {
  /** Whose command needed it first. */
  readonly agentId: string;
  readonly image: string;
  /** The image that it gave; absent: there is none. */
  readonly made?: string;
  /** The last of what it wrote, errors as well; or why it did not run. */
  readonly output: string;
}

/** What the thread of tools may call. */
export interface KernelForTools {
  ended(end: CommandEnd): Promise<void>;
  setUp(end: SetupEnd): Promise<void>;
}

/** What is asked of this machine: whether commands would run in such a sandbox. */
export interface ProbeAsked {
  readonly backend: BoxBackend;
  /** Absent: whether the backend works at all. */
  readonly settings?: Pick<BoxSettings, "image" | "setupCommand">;
}

/** What an operator can be told of a backend. */
export interface BackendState {
  readonly backend: BoxBackend;
  readonly works: boolean;
  /** Why not, and what to do. */
  readonly why?: string;
}

/** How `web_fetch` works (config: `tools.web.fetch`). */
export interface WebSettings {
  /** Characters of one result. */
  readonly charsMax: number;
  /** Bytes of one page, unpacked. */
  readonly bytesMax: number;
  /** Of one call, redirects included. */
  readonly timeoutMs: number;
  readonly redirectsMax: number;
  /** How long a page is given from memory; 0: never. */
  readonly cacheMs: number;
  readonly userAgent: string;
  /** `host` or `host:port`, as URLs have them: their addresses are not judged. */
  readonly allowedHosts: readonly string[];
}

export interface WebCall {
  readonly agentId: string;
  readonly params: string;
  readonly settings: WebSettings;
}

/** An answer of a job, and where it goes. */
export interface AnswerPost {
  readonly message: OutboundMessage;
  readonly url: string;
  readonly token?: SecretText;
  /** Where a reference leads. */
  readonly stateDir: string;
  /** As in `WebSettings`. */
  readonly allowedHosts: readonly string[];
}

export interface ToolsForKernel {
  /** The result object of the call; refusals and failures are results with `status` and `code`. Never rejects by itself. */
  run(call: HostCall): Promise<object>;
  /** `web_fetch`; likewise. */
  fetchPage(call: WebCall): Promise<object>;
  /** Likewise never rejects by itself. */
  postAnswer(post: AnswerPost): Promise<SendResult>;
  /** What a call of `exec` comes to; nothing is run. */
  plan(asked: CommandAsked): Promise<CommandPlan>;
  /** Runs the vector; the result when it has ended, or after `yieldMs`. */
  start(command: CommandStart): Promise<object>;
  /** A call of `process` (`params`: JSON that was checked): of commands of the same session alone. */
  process(params: string, owner: Pick<CommandOwner, "agentId" | "sessionKey">): Promise<object>;
  /** Ends the commands that calls of the turn still wait for. */
  endTurn(entry: string, turn: number): void;
  /** Ends every command of the cell, or of all with no argument, and resolves when they are gone. */
  endAll(entry?: string): Promise<void>;
  /** What the processes of commands hold, of each agent that has any; undefined: the system does not tell. */
  heldMemory(): Promise<readonly HeldMemory[] | undefined>;
  /** Whether the backend works here; looked at once a minute at the most. */
  probe(asked: ProbeAsked): Promise<BackendState>;
}
