/**
 * The door for tests of authors: `import { checkActor, openActorKit } from "cloister/testing"` for actors, which needs no test runner, and
 * `makeChannelContract` for channels, which is given one. Neither needs a network.
 */
export type {
  ActorKit,
  ActorKitOptions,
  CheckedPoint,
  CheckFault,
  CheckLine,
  CheckOptions,
  CheckReport,
  KitLogLine,
  KitSend,
  KitStep,
  KitTimer,
  KitTurn,
  ScriptedAnswer,
  ScriptedModel,
  Sibling,
} from "./actor-port.ts";
export type { ChannelContract } from "./channel-contract.ts";
export type { Arrived, ChannelRig, Expect, Matchers, OpenChannel, Platform, TestRunner } from "./channel-port.ts";
export { makeChannelContract } from "./channel-contract.ts";
export { loadChannel } from "./load-channel.ts";
export { openActorKit } from "./open-actor-kit.ts";
export { checkActor } from "./check-actor.ts";
export { formatReport } from "./report-lines.ts";
