/** Each platform with one person, and what that person hears: for a test with the real program on all of them. */
import { expect, onTestFinished } from "vitest";
import { type Chats, type PlatformName, platforms } from "./chats.ts";
import { eventually } from "./eventually.ts";
import { endPrograms } from "./program.ts";

interface OnePerson extends Omit<Chats, "say"> {
  readonly name: PlatformName;
  /** As the platform got it. */
  readonly heard: readonly string[];
  /** When somebody would hear it. `agoMs`: as written so long ago. */
  readonly say: (text: string, agoMs?: number) => Promise<void>;
}

/** Until the end of the test, which ends the programs as well. */
export async function openOnePerson(name: PlatformName): Promise<OnePerson> {
  const heard: string[] = [];
  const chats = await platforms[name](1, ({ moment, text }) => {
    if (moment === "sent" && text !== undefined) heard.push(text);
    return undefined;
  });
  onTestFinished(async () => {
    endPrograms();
    await chats.close();
  });
  return {
    ...chats,
    name,
    heard,
    async say(text, agoMs) {
      await eventually(() => expect(chats.isOnline()).toBe(true));
      chats.say(0, text, agoMs);
    },
  };
}
