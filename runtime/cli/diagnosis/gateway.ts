/**
 * The gateway as this command line sees it: its process, its port, its answers.
 *
 *     answers ─ half dead (its door answers, it does not) ─ shut (it refuses this command line) ─ hangs ─ stopped ─ port taken
 */
import { rm } from "node:fs/promises";
import { request } from "node:http";
import path from "node:path";
import { operatorScopes } from "../../../auth/scopes.ts";
import type { ResolvedConfig } from "../../config/index.ts";
import { type CodedError, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type CliContext, commandPrefix } from "../context.ts";
import { findGateway, type FoundGateway, readRunFile, type RunFile } from "../find-gateway.ts";
import { connectGateway, type Hello } from "../gateway-client.ts";
import { formatAccess } from "../views/access.ts";
import type { Repairable } from "./finding.ts";
import type { DiagnosedMachine } from "./machine.ts";
import type { Owner } from "../../store/lmdb/report.ts";

/** What the gateway answered; a method that it refused or did not answer in time has its error. */
export interface Answers {
  readonly url: string;
  readonly hello: Hello;
  readonly payloads: ReadonlyMap<string, unknown>;
  readonly errors: ReadonlyMap<string, CodedError>;
}

export type Contact =
  | { readonly type: "answered"; readonly answers: Answers }
  | { readonly type: "shut" | "unreachable" | "unknown"; readonly error: CodedError; readonly url?: string };

/** Everything that is asked is only read. */
export async function askGateway(
  context: CliContext,
  methods: readonly (readonly [method: string, params: object])[],
  timeoutMs: number = limits.doctorAnswerMs,
): Promise<Contact> {
  let target: FoundGateway | undefined;
  try {
    target = await findGateway(context);
    const { version, platform } = context;
    const client = await connectGateway(target, { version, platform, scopes: operatorScopes }, { timeoutMs });
    const payloads = new Map<string, unknown>();
    const errors = new Map<string, CodedError>();
    const { url, hello } = client;
    try {
      const asked = methods.map(async ([method, params]) => {
        try {
          payloads.set(method, await client.request(method, params, { timeoutMs }));
        } catch (error) {
          if (!isCoded(error)) throw error;
          errors.set(method, error);
        }
      });
      await Promise.all(asked);
    } finally {
      await client.close();
    }
    return { type: "answered", answers: { url, hello, payloads, errors } };
  } catch (error) {
    if (!isCoded(error)) throw error;
    const type =
      target === undefined ? "unknown" : error.code === "CLOISTER_GATEWAY_UNREACHABLE" ? "unreachable" : "shut";
    return { type, error, ...(target === undefined ? {} : { url: target.url }) };
  }
}

export interface Seen {
  readonly contact: Contact;
  readonly config: ResolvedConfig | undefined;
  readonly stateDir: string;
  /** The gateway that the store's own row names. */
  readonly owner: Owner | undefined;
}

export async function checkGateway(
  context: CliContext,
  seen: Seen,
  machine: DiagnosedMachine,
): Promise<readonly Repairable[]> {
  const { contact } = seen;
  const prefix = commandPrefix(context);
  if (contact.type === "answered") return checkAnswers(contact.answers, context.version, prefix);
  if (contact.type === "shut") return [shutOut(contact.error, contact.url ?? "", prefix)];
  if (context.options.url !== undefined) return [unreachable(contact.error)];
  const run = await readRunFile(seen.stateDir).catch(() => undefined);
  const owner = seen.owner?.isAlive === true ? seen.owner : undefined;
  // The store's row knows a number that was given again from the process that had it before.
  const pid =
    owner?.pid ?? (seen.owner === undefined && run !== undefined && machine.isAlive(run.pid) ? run.pid : undefined);
  // Without a configuration that can be read, nobody knows where a stopped gateway would listen; that is a finding of its own.
  if (contact.type === "unknown" && (pid !== undefined || seen.config !== undefined)) {
    return [notAsked(contact.error, pid)];
  }
  if (pid !== undefined) return [hangs(pid, contact, run, prefix)];
  const found: Repairable[] = [];
  if (run !== undefined) found.push(staleRunFile(seen.stateDir, run));
  found.push({
    id: "gateway.stopped",
    severity: "note",
    what: "no gateway is running on this state directory",
    remedy: `Start it with \`${prefix} gateway\`, or in the background with \`${prefix} gateway start\`.`,
  });
  return seen.config === undefined ? found : [...found, ...(await checkPort(seen.config, machine, prefix))];
}

function checkAnswers({ url, hello, errors }: Answers, version: string, prefix: string): readonly Repairable[] {
  const late = [...errors].find(([, { code }]) => code === "CLOISTER_ASK_TIMEOUT");
  if (late !== undefined) {
    return [
      {
        id: "gateway.half-dead",
        severity: "error",
        what: `the gateway at ${url} takes connections and does not answer ${late[0]}: ${late[1].message}`,
        why: "Its door lives in a thread of its own; the thread that decides is busy or stuck. A watch ends a stuck one after a while.",
        remedy: `Wait for its launcher to start it again; if nothing changes: \`${prefix} gateway restart --force\`, or end its process.`,
      },
    ];
  }
  const found: Repairable[] = [
    { id: "gateway", severity: "ok", what: `the gateway at ${url} answers, version ${hello.version}` },
  ];
  if (hello.version !== version) {
    found.push({
      id: "gateway.version",
      severity: "warning",
      what: `the gateway is version ${hello.version}, this command line is version ${version}`,
      why: "Commands and gateway may not understand each other in everything.",
      remedy: `Restart the gateway with this version: \`${prefix} gateway restart\` starts what is installed.`,
    });
  }
  const refused = [...errors].filter(([, { code }]) => code === "CLOISTER_EDGE_FORBIDDEN").map(([method]) => method);
  found.push(
    refused.length === 0
      ? { id: "gateway.access", severity: "ok", what: `this command line is ${formatAccess(hello)}` }
      : {
          id: "gateway.narrow",
          severity: "warning",
          what: `this command line is ${formatAccess(hello)}; it may not ask for ${refused.join(", ")}`,
          why: "Commands that need more are refused, although the gateway answers.",
          remedy: "Run it as the user that runs the gateway, or give a credential that grants more with --token.",
        },
  );
  return found;
}

function shutOut(error: CodedError, url: string, prefix: string): Repairable {
  return {
    id: "gateway.shut",
    severity: "error",
    what: `the gateway at ${url} runs and refuses this command line: ${error.message}`,
    why: "This is about who this command line is. Agents are not clients: messages between them go on.",
    remedy:
      error.remedy ??
      `Run it as the user that runs the gateway, whose key is in its state directory; see \`${prefix} devices\`.`,
  };
}

function notAsked(error: CodedError, pid: number | undefined): Repairable {
  return {
    id: "gateway.not-asked",
    severity: "warning",
    what: `${pid === undefined ? "whether a gateway runs was not looked at" : `a gateway with pid ${pid} runs and was not asked`}: ${error.message}`,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}

function unreachable(error: CodedError): Repairable {
  return {
    id: "gateway.unreachable",
    severity: "error",
    what: error.message,
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
  };
}

function hangs(
  pid: number,
  contact: Exclude<Contact, { type: "answered" }>,
  run: RunFile | undefined,
  prefix: string,
): Repairable {
  const isReady = run !== undefined;
  return {
    id: "gateway.hangs",
    severity: "error",
    what: isReady
      ? `the gateway with pid ${pid} lives and does not answer: ${contact.error.message}`
      : `a gateway with pid ${pid} uses the state directory and is not ready`,
    why: isReady
      ? "It is stopped, or stuck. What was accepted is on disk."
      : "It is starting or stopping, or it is stuck in that.",
    remedy: `Look again in a minute; then let it go on (\`kill -CONT ${pid}\`) or end it (\`kill ${pid}\`, at last \`kill -9 ${pid}\`) and start it: \`${prefix} gateway start\`.`,
  };
}

function staleRunFile(stateDir: string, { pid }: RunFile): Repairable {
  const file = path.join(stateDir, "run", "gateway.json");
  return {
    id: "gateway.stale-file",
    severity: "warning",
    what: `${file} names a gateway with pid ${pid}, which does not run: it did not end in order`,
    why: "Its messages are on disk, and are handled after the next start.",
    remedy: `Start the gateway, or remove the file.`,
    repair: {
      done: `removed ${file}`,
      run: async () => {
        // A gateway that has become ready in the meantime has written its own.
        if ((await readRunFile(stateDir))?.pid === pid) await rm(file, { force: true });
      },
    },
  };
}

async function checkPort(
  { gateway: { host, port } }: ResolvedConfig,
  machine: DiagnosedMachine,
  prefix: string,
): Promise<readonly Repairable[]> {
  const called = host === "0.0.0.0" || host === "" ? "127.0.0.1" : host === "::" ? "::1" : host;
  if (port === 0 || !(await machine.isListening(called, port))) return [];
  const who = await askWho(called, port);
  return [
    {
      id: "gateway.port-taken",
      severity: "error",
      what: `${called}:${port} is taken by ${who}, which is not the gateway of this state directory`,
      why: "The gateway cannot listen there, and does not start.",
      remedy: `Stop what listens there, set gateway.port to another port, or start it once with \`${prefix} gateway --port <port>\`.`,
    },
  ];
}

/** Another gateway says what it is on HTTP. */
function askWho(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const other = "another program";
    const asking = request({ host, port, path: "/startupz", timeout: limits.doctorAnswerMs }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
        if (text.length > 4_096) asking.destroy();
      });
      response.on("end", () => resolve(/"status"\s*:\s*"started"/.test(text) ? "another gateway" : other));
    });
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(other));
    asking.on("close", () => resolve(other));
    asking.end();
  });
}
