/** The public door for authors of actor modules: `import { defineActor } from "cloister"`. */
export type {
  ActorDefinition,
  CellLog,
  Context,
  IncomingMessage,
  IncomingSignal,
  MessagePart,
  RequestOptions,
  ScheduleOptions,
  SendOptions,
  StateSchema,
  Timer,
  ToolResult,
  Tools,
  Workspace,
} from "../runtime/thread/actor-port.ts";
export { defineActor } from "./define-actor.ts";
