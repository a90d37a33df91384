/** The door for tests of authors: `import { checkActor, openActorKit } from "cloister/testing"`. It needs no test runner and no network. */
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
export { openActorKit } from "./open-actor-kit.ts";
export { checkActor } from "./check-actor.ts";
export { formatReport } from "./report-lines.ts";
