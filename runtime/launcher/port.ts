/**
 * What passes between the launcher and the gateway that it started: messages over Node's IPC pipe, one variable of the
 * environment, and the exit codes. Both ends are of one version, since the launcher starts its own program.
 */

/** JSON of `Launched`, for the child. */
export const launchedVariable = "CLOISTER_LAUNCHED";

/** What a gateway is told of its launcher. A variable that was inherited from elsewhere names another process's parent. */
export interface Launched {
  /** The launcher's process. */
  readonly pid: number;
  /** How often it has started the gateway again since it was started itself, on order or after a crash. */
  readonly restarts: number;
  /** How the gateway before this one ended, when that was a crash. */
  readonly lastEnd?: string;
}

export type FromGateway =
  /** The main thread's loop turns. `debugged`: it may stand still from now on, because somebody looks at it. */
  | { readonly type: "beat"; readonly debugged: boolean }
  /** It stops and will end itself, with turns that may take so long; then it is to be started again, or not. */
  | { readonly type: "stopping"; readonly withinMs: number; readonly again: boolean }
  /** It cannot go on and ends at once, as a crash. */
  | { readonly type: "failing" };

/** The first one stops the gateway in order, a second one ends it at once. */
export interface FromLauncher {
  readonly type: "stop";
  readonly signal: string;
}

/**
 * Exit codes of the gateway that say what whoever started it should do. 1 (it refuses to start) and 2 (wrong usage) are for
 * a person: the same start would end the same way. Everything else but 0 is a crash. 70 is `EX_SOFTWARE` of sysexits(3).
 */
export const exitCodes = { done: 0, refused: 1, usage: 2, crashed: 70, gaveUp: 71 } as const;
