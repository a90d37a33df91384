/** One real cell, driven by hand: what it is told and what it says, without a kernel. */
import { afterAll } from "vitest";
import { down, up, type UpRecord, upStride } from "../../runtime/kernel/frames.ts";
import { type CellAssets, loadCellAssets } from "../../runtime/thread/cell-assets.ts";
import type { CellSpec } from "../../runtime/thread/cell-backend.ts";
import { type CellHost, makeCellHost } from "../../runtime/thread/cell-host.ts";
import type { CellInit } from "../../runtime/thread/cell-port.ts";
import { makeCellSpec } from "./cell-spec.ts";

/** One record of the cell. */
export type Said = UpRecord;

export interface HandCell {
  readonly host: CellHost;
  /** Everything the cell said so far. */
  readonly said: Said[];
  readonly frames: unknown[];
  readonly started: Promise<{ readonly status: "ready" } | { readonly status: "invalid"; readonly reason: string }>;
  /** Reasons for which its end was decided outside of it. */
  readonly endings: readonly string[];
  /** Resolves with the first of them. */
  readonly ending: Promise<void>;
  readonly exited: Promise<{ readonly reason: string; readonly detail: string }>;
  /** Delivers a message and resolves with the end of its turn; rejects with the end of the cell when that comes first. */
  turn(
    text: string,
    options?: { readonly sessionKey?: string; readonly state?: string; readonly attempt?: number },
  ): Promise<Said>;
  answer(ref: number, status: string, text: string): void;
  forget(sessionKey: string): void;
  until(match: (said: Said) => boolean): Promise<Said>;
}

let assets: Promise<CellAssets> | undefined;
const open: CellHost[] = [];
afterAll(async () => {
  await Promise.all(open.map((host) => host.close()));
});

export async function startCell(
  init: Partial<CellInit> & Pick<CellInit, "module" | "workspace">,
  readable: readonly string[] = [],
  {
    level = "thread",
    trust = "confined",
    ...changes
  }: Partial<Omit<CellSpec, "init" | "readable">> & { readonly assets?: CellAssets } = {},
): Promise<HandCell> {
  assets ??= loadCellAssets();
  const { assets: loaded = await assets, ...spec } = changes;
  const said: Said[] = [];
  const frames: unknown[] = [];
  const waiting: { match: (said: Said) => boolean; resolve: (said: Said) => void }[] = [];
  const started = Promise.withResolvers<
    { readonly status: "ready" } | { readonly status: "invalid"; readonly reason: string }
  >();
  const exited = Promise.withResolvers<{ readonly reason: string; readonly detail: string }>();
  const endings: string[] = [];
  const ending = Promise.withResolvers<void>();
  let working = false;
  let nextTurn = 1;
  const agentId = init.agentId ?? "main";
  const host = makeCellHost(loaded, {
    ready: () => started.resolve({ status: "ready" }),
    invalid: (_agent, _incarnation, reason) => started.resolve({ status: "invalid", reason }),
    ending: (_agent, _incarnation, reason) => {
      endings.push(reason);
      ending.resolve();
    },
    exited: (_agent, _incarnation, reason, detail) => exited.resolve({ reason, detail }),
    hasWork: () => working,
    frame: (_agent, _incarnation, frame) => {
      frames.push(frame);
      const fields = frame as (number | string)[];
      for (let at = 2; at < fields.length; at += upStride) {
        const [op, ref, turn, slot, num, a, b, c] = fields.slice(at, at + upStride) as [
          number,
          number,
          number,
          number,
          number,
          string,
          string,
          string,
        ];
        const one = { op, ref, turn, slot, num, a, b, c };
        said.push(one);
        // Steps begin at once, and are on record when they end.
        if (op === up.stepStart) host.post(agentId, 1, [down.result, ref, 0, 1, "run", "", ""]);
        else if (op === up.stepEnd)
          host.post(agentId, 1, [down.result, ref, 0, slot === 1 ? 1 : 0, slot === 1 ? "ok" : a, b, ""]);
        for (const entry of waiting.filter(({ match }) => match(one))) {
          waiting.splice(waiting.indexOf(entry), 1);
          entry.resolve(one);
        }
      }
    },
  });
  open.push(host);
  host.start(makeCellSpec(init, { readable: [...readable, loaded.zodDir], level, trust, ...spec }));
  const until = (match: (said: Said) => boolean): Promise<Said> => {
    const found = said.find(match);
    return found === undefined ? new Promise((resolve) => waiting.push({ match, resolve })) : Promise.resolve(found);
  };
  return {
    host,
    said,
    frames,
    started: started.promise,
    endings,
    ending: ending.promise,
    exited: exited.promise,
    until,
    answer: (ref, status, text) => host.post(agentId, 1, [down.result, ref, 0, 1, status, text, ""]),
    forget: (sessionKey) => host.post(agentId, 1, [down.forget, 0, 0, 0, sessionKey, "", ""]),
    turn(text, { sessionKey = `agent:${agentId}:main`, state, attempt = 1 } = {}) {
      const turn = nextTurn++;
      working = true;
      const header = {
        id: `e${turn}`,
        sessionKey,
        agentId,
        provenance: { kind: "external_user", sourceChannel: "test" },
        acceptedAtMs: 1,
      };
      host.post(agentId, 1, [
        down.deliver,
        state === undefined ? 0 : 1,
        turn,
        attempt,
        JSON.stringify(header),
        text,
        state ?? "",
      ]);
      const end = Promise.race([
        until((one) => one.op === up.done && one.turn === turn).then((found) => {
          working = false;
          return found;
        }),
        exited.promise.then(({ reason, detail }) => Promise.reject(new Error(`the cell ended: ${reason}: ${detail}`))),
      ]);
      // Who waits for the end of the cell does not wait for this.
      end.catch(() => undefined);
      return end;
    },
  };
}
