/** What the gateway and the process that its cells' processes are children of say to each other (`cell-parent.ts`, `cell-parent-main.ts`). */

/** Gateway → parent: start one. `id`: the order's own. */
export interface ParentOrder {
  readonly id: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  readonly isSuspect: boolean;
}

/**
 * Parent → gateway: `started` brings the gateway's end of the pair of sockets, `handed` says that the parent has it no more; without `started`: it did not arrive, for the
 * gateway has no descriptor left. The last one of an order is `ended` or `failed`.
 */
export type ParentTold =
  | { readonly op: "started"; readonly id: number }
  | { readonly op: "handed"; readonly id: number; readonly pid: number }
  | {
      readonly op: "ended";
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
      /** What it said last on its standard error. */
      readonly lastWords: string;
    }
  | { readonly op: "failed"; readonly id: number; readonly why: string };
