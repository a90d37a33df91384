/** An account of a channel as its thread serves it, beside a platform of a test. */
import type { AccountSettings, InboundEvent, OutboundMessage, Received } from "../../channels/port.ts";
import { serveAccounts } from "../channels/accounts.ts";
import type { AccountState } from "../channels/port.ts";
import type { ChannelRig, OpenChannel, TestRunner } from "./channel-port.ts";

/** Waits until it throws no more; rejects with what it threw last. */
export type Eventually = (look: () => void) => Promise<void>;

export type OpenAccount = <S extends AccountSettings>(
  rig: ChannelRig<S>,
  take?: (event: InboundEvent) => Promise<Received | void>,
  waits?: boolean,
) => Promise<OpenChannel>;

/** Of a test that does not care which. */
export const usual: OutboundMessage = {
  idempotencyKey: "e1",
  channel: "",
  accountId: "default",
  peer: { kind: "direct", id: "7" },
  agentId: "main",
  sessionKey: "agent:main:main",
  text: "hello",
};

export function makeEventually(patienceMs = 20_000): Eventually {
  return async (look) => {
    for (const startMs = performance.now(); ; ) {
      try {
        look();
        return;
      } catch (error) {
        if (performance.now() - startMs > patienceMs) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  };
}

/** Each account that it opens is closed after its test. */
export function makeOpenAccount({ afterEach, expect }: TestRunner, eventually: Eventually): OpenAccount {
  const opened: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((close) => close()));
  });

  /** Opens the account and waits until it is online. Pauses before another attempt are short; those that wait for an answer are not. */
  async function openChannel<S extends AccountSettings>(
    { module, open }: ChannelRig<S>,
    take: (event: InboundEvent) => Promise<Received | void> = async () => undefined,
    waits = true,
  ): Promise<OpenChannel> {
    const { platform, settings, prepare } = await open();
    const received: InboundEvent[] = [];
    const states: AccountState[] = [];
    const logged: string[] = [];
    const channel = serveAccounts(
      module,
      { default: settings },
      {
        receive: async (event) => {
          const result = (await take(event)) ?? "taken";
          if (result === "taken") received.push(event);
          return result;
        },
        state: async (_, state) => void states.push(state),
        refused: async () => undefined,
        partSent: async () => undefined,
        log: async (_, message) => void logged.push(message),
      },
      {
        nowMs: () => Date.now(),
        random: () => 0,
        pause: (ms, signal) =>
          new Promise((resolve) => {
            const timer = setTimeout(resolve, ms < 20_000 ? Math.min(ms, 20) : ms);
            signal.addEventListener("abort", () => {
              clearTimeout(timer);
              resolve();
            });
          }),
      },
      [{ name: "/status", summary: "how the session stands" }],
    );
    let texts = 0;
    opened.push(async () => {
      await channel.close();
      await platform.close();
    });
    const online = (): Promise<void> => eventually(() => expect(states.at(-1)).toMatchObject({ type: "online" }));
    await prepare?.({ channel, states });
    if (waits) await online();
    return {
      channel,
      received,
      states,
      logged,
      platform,
      online,
      send(changes) {
        texts += 1;
        const key = { channel: module.manifest.id, idempotencyKey: `text ${texts}` };
        return channel.send({ ...usual, ...key, ...changes }, 0);
      },
    };
  }

  return openChannel;
}
