/** The library tells of a failure in words of its own: what the handler threw is kept beside, for the gateway to tell. */
import type { AgentCard } from "@a2a-js/sdk";
import type { A2ARequestHandler } from "@a2a-js/sdk/server";

/** All that the library asks of a card before it streams. */
const streaming = { capabilities: { streaming: true } } as AgentCard;

export interface Noted {
  readonly handler: A2ARequestHandler;
  readonly failed: () => { readonly error: unknown } | undefined;
}

export function noteFailures(handler: A2ARequestHandler): Noted {
  let noted: { readonly error: unknown } | undefined;
  const note = (error: unknown): never => {
    noted = { error };
    throw error;
  };
  const once =
    <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      call(...args).catch(note);
  const each = <A extends readonly unknown[], R>(call: (...args: A) => AsyncGenerator<R, void, undefined>) =>
    async function* (...args: A): AsyncGenerator<R, void, undefined> {
      try {
        yield* call(...args);
      } catch (error) {
        note(error);
      }
    };
  const noting: A2ARequestHandler = {
    getAgentCard: () => Promise.resolve(streaming),
    getAuthenticatedExtendedAgentCard: once((...args) => handler.getAuthenticatedExtendedAgentCard(...args)),
    sendMessage: once((...args) => handler.sendMessage(...args)),
    sendMessageStream: each((...args) => handler.sendMessageStream(...args)),
    getTask: once((...args) => handler.getTask(...args)),
    cancelTask: once((...args) => handler.cancelTask(...args)),
    createTaskPushNotificationConfig: once((...args) => handler.createTaskPushNotificationConfig(...args)),
    getTaskPushNotificationConfig: once((...args) => handler.getTaskPushNotificationConfig(...args)),
    listTaskPushNotificationConfigs: once((...args) => handler.listTaskPushNotificationConfigs(...args)),
    deleteTaskPushNotificationConfig: once((...args) => handler.deleteTaskPushNotificationConfig(...args)),
    resubscribe: each((...args) => handler.resubscribe(...args)),
    listTasks: once((...args) => handler.listTasks(...args)),
  };
  return { handler: noting, failed: () => noted };
}
