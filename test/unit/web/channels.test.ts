/** The channels on the page, and the login of an account, without its looks. */
import { describe, expect, it } from "vitest";
import { open, settled } from "./fakes.ts";

const place = { channel: "whatsapp", accountId: "home" };

const status = (account: object = {}, summary: object = {}) => ({
  channelOrder: ["whatsapp"],
  channels: { whatsapp: { linksByCode: true, outbox: 2, possibleDuplicates: 0, restarts: 1, ...summary } },
  channelAccounts: { whatsapp: [{ accountId: "home", running: true, connected: false, ...account }] },
});

async function shown() {
  const world = open();
  await world.connect();
  const { page, gateway } = world;
  const { channels } = page;
  const answer = async (method: string, payload: unknown) => {
    const { params } = gateway.link.answer(method, payload);
    await settled();
    return params;
  };
  return { ...world, channels, answer, state: () => channels.state.value, sent: () => gateway.link.sent };
}

describe("the channels", () => {
  it("are read while somebody looks, and no longer", async () => {
    const { channels, answer, state, timers, sent } = await shown();
    expect(sent()).toEqual([]);
    channels.look(true);
    await answer("channels.status", status({ connected: true, name: "+1555" }));
    expect(state().channels).toEqual([
      {
        channel: "whatsapp",
        linksByCode: true,
        outbox: 2,
        possibleDuplicates: 0,
        restarts: 1,
        accounts: [{ ...place, state: "connected", name: "+1555" }],
      },
    ]);
    timers.advance(5_000);
    await answer("channels.status", status({ running: false, lastError: "it is gone", remedy: "link it" }));
    expect(state().channels?.[0]?.accounts).toEqual([
      { ...place, state: "failed", error: "it is gone", remedy: "link it" },
    ]);
    channels.look(false);
    timers.advance(60_000);
    expect(sent()).toEqual([]);
  });

  it.each([
    [{ connected: true }, "connected"],
    [{ linking: true }, "linking"],
    [{}, "connecting"],
    [{ running: false }, "failed"],
    [{ connected: undefined }, "connected"],
  ])("stand as the gateway says: %j is %s", async (account, wanted) => {
    const { channels, answer, state } = await shown();
    channels.look(true);
    await answer("channels.status", status(account));
    expect(state().channels?.[0]?.accounts[0]?.state).toBe(wanted);
  });

  it("that cannot be read are told with the reason, rows without a name are left out", async () => {
    const { channels, answer, gateway, state, timers } = await shown();
    channels.look(true);
    gateway.link.refuse("channels.status", { code: "X", message: "no" });
    await settled();
    expect(state()).toMatchObject({ channels: undefined, error: "The channels could not be read: no" });
    timers.advance(5_000);
    await answer("channels.status", { channelOrder: [1, "irc"], channelAccounts: { irc: [{}, 2] } });
    expect(state()).toMatchObject({ channels: [{ channel: "irc", accounts: [] }], error: undefined });
  });
});

describe("the login of an account", () => {
  const code = (text: string) => ({ status: "code", code: { text, expiresAtMs: 9 } });

  it("begins once, shows each code as it changes, says when it is connected, and asks no more", async () => {
    const { channels, answer, state, timers, sent } = await shown();
    channels.look(true);
    await answer("channels.status", status());
    channels.logIn(place);
    expect(state().login).toEqual({ ...place, status: "connecting" });
    expect(await answer("channels.login", { status: "connecting" })).toEqual({ ...place, begin: true });
    const seen: unknown[] = [];
    for (const text of ["one", "one", "two"]) {
      timers.advance(1_000);
      expect(await answer("channels.login", code(text))).toEqual({ ...place, begin: false });
      seen.push(state().login?.code?.text);
    }
    expect(seen).toEqual(["one", "one", "two"]);
    timers.advance(1_000);
    await answer("channels.login", { status: "linked", name: "+1555" });
    expect(state().login).toEqual({ ...place, status: "linked", name: "+1555" });
    await answer("channels.status", status({ connected: true, name: "+1555" }));
    timers.advance(4_000);
    expect(sent()).toEqual([]);
  });

  it("that failed says why and what to do, and can be begun again", async () => {
    const { channels, answer, gateway, state } = await shown();
    channels.logIn(place);
    await answer("channels.login", { status: "failed", reason: "nobody scanned it", remedy: "again" });
    expect(state().login).toEqual({ ...place, status: "failed", reason: "nobody scanned it", remedy: "again" });
    await answer("channels.status", status());
    channels.logIn(place);
    gateway.link.refuse("channels.login", { code: "X", message: "there is no such account" });
    await settled();
    expect(state().login).toEqual({ ...place, status: "failed", reason: "there is no such account" });
  });

  it("shows no code any more when it is left, also when the answer comes later", async () => {
    const { channels, answer, state, timers, sent } = await shown();
    channels.logIn(place);
    channels.leaveLogin();
    await answer("channels.login", code("one"));
    expect(state().login).toBeUndefined();
    channels.logIn(place);
    await answer("channels.login", code("two"));
    channels.look(false);
    expect(state().login).toBeUndefined();
    timers.advance(60_000);
    expect(sent()).toEqual([]);
  });

  it("goes on after the page was not connected for a while, and begins there what had not begun", async () => {
    const { channels, connect, gateway, timers, state, answer } = await shown();
    gateway.link.drop();
    channels.logIn(place);
    await settled();
    expect(state().login?.status).toBe("connecting");
    while (gateway.links.length === 1) timers.advance(500);
    await connect();
    timers.advance(1_000);
    expect(await answer("channels.login", code("one"))).toEqual({ ...place, begin: true });
    expect(state().login?.code?.text).toBe("one");
  });

  it("is ended by a logout, once, and what became of it is said", async () => {
    const { channels, answer, page, sent } = await shown();
    channels.logOut(place);
    channels.logOut(place);
    expect(await answer("channels.logout", { loggedOut: true })).toEqual(place);
    expect(page.view.notice.value).toBe("whatsapp/home is logged out.");
    await answer("channels.status", status());
    expect(sent()).toEqual([]);
  });
});
