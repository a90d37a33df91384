/** The route tester: facts of a message, and which agent and session they lead to, by the function that routes. */
import { type ReadonlySignal, signal } from "@preact/signals";
import { count, fieldsOf, list, text } from "../wire.ts";
import { type DeskDeps, makeLatest } from "./desk.ts";

export const peerKinds = ["direct", "group", "channel"] as const;

/** As they are typed; what is empty is left out. */
export interface RouteFields {
  readonly channel: string;
  readonly accountId: string;
  readonly peerKind: string;
  readonly peerId: string;
  readonly parentKind: string;
  readonly parentId: string;
  readonly guildId: string;
  readonly teamId: string;
  /** With commas between them. */
  readonly roles: string;
  readonly threadId: string;
}

export interface RouteAnswer {
  readonly asked: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly matchedBy: string;
  /** The binding that decided; absent when the default agent answers. */
  readonly winner?: string;
  readonly bindingIndex?: number;
  readonly tiers: readonly { readonly tier: string; readonly outcome: string; readonly bindings: number }[];
  readonly losses: readonly {
    readonly bindingIndex: number;
    readonly agentId: string;
    readonly match: string;
    readonly reason: string;
  }[];
}

export interface RouteTest {
  readonly answer: RouteAnswer | undefined;
  readonly error: string | undefined;
}

export interface RouteDesk {
  readonly state: ReadonlySignal<RouteTest>;
  readonly test: (fields: RouteFields) => void;
}

export function openRoutes({ request }: DeskDeps): RouteDesk {
  const state = signal<RouteTest>({ answer: undefined, error: undefined });
  const latest = makeLatest();
  return {
    state,
    test(fields) {
      const isLatest = latest();
      void request("route.explain", paramsOf(fields)).then((reply) => {
        if (!isLatest()) return;
        state.value = reply.ok
          ? { answer: parseRoute(reply.payload), error: undefined }
          : { answer: undefined, error: reply.error.message };
      });
    },
  };
}

function paramsOf(fields: RouteFields): object {
  const { peerKind, peerId, parentKind, parentId, roles, ...plain } = fields;
  const given = Object.entries(plain).flatMap(([name, value]) => (value.trim() === "" ? [] : [[name, value.trim()]]));
  const [peer, parentPeer] = [peerOf(peerKind, peerId), peerOf(parentKind, parentId)];
  const named = roles.split(",").flatMap((role) => (role.trim() === "" ? [] : [role.trim()]));
  return {
    ...Object.fromEntries(given),
    ...(peer === undefined ? {} : { peer }),
    ...(parentPeer === undefined ? {} : { parentPeer }),
    ...(named.length === 0 ? {} : { roles: named }),
  };
}

function peerOf(kind: string, id: string): object | undefined {
  return id.trim() === "" ? undefined : { kind, id: id.trim() };
}

/** The answer of `route.explain`. */
function parseRoute(payload: unknown): RouteAnswer {
  const explanation = fieldsOf(fieldsOf(payload)["explanation"]);
  const route = fieldsOf(explanation["route"]);
  const winner = text(explanation["winner"]);
  return {
    asked: text(explanation["asked"]) ?? "",
    agentId: text(route["agentId"]) ?? "",
    sessionKey: text(route["sessionKey"]) ?? "",
    matchedBy: text(route["matchedBy"]) ?? "",
    ...(winner === undefined ? {} : { winner, bindingIndex: count(route["bindingIndex"]) }),
    tiers: list(explanation["tiers"]).map((value) => {
      const { tier, outcome, bindings } = fieldsOf(value);
      return { tier: text(tier) ?? "", outcome: text(outcome) ?? "", bindings: count(bindings) };
    }),
    losses: list(explanation["losses"]).map((value) => {
      const { bindingIndex, agentId, match, reason } = fieldsOf(value);
      return {
        bindingIndex: count(bindingIndex),
        agentId: text(agentId) ?? "",
        match: text(match) ?? "",
        reason: text(reason) ?? "",
      };
    }),
  };
}
