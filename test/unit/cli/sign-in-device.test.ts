/** Pauses of a sign-in by a code, on a clock that jumps over them. Source: RFC 8628, 3.5. */
import { expect, it, onTestFinished, vi } from "vitest";
import { type DeviceCode, signInByDevice } from "../../../runtime/cli/sign-in/device.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

/** What the door of tokens answers, one after the other; `down` breaks the connection, `silent` says nothing until whoever asks waits no longer. */
async function pausesOf(answers: readonly (string | 503)[], seconds = 600, interval?: unknown, more: object = {}) {
  const pauses: number[] = [];
  const shown: DeviceCode[] = [];
  const left = [...answers];
  let nowMs = 0;
  const fetch = async (url: unknown, { signal }: RequestInit = {}): Promise<Response> => {
    if (String(url).endsWith("/device"))
      return Response.json({
        device_code: "d",
        user_code: "AB",
        verification_uri: "https://a.example/x",
        expires_in: seconds,
        interval,
        ...more,
      });
    const answer = left.shift() ?? "authorization_pending";
    if (answer === "down") throw new TypeError("fetch failed");
    if (answer === "silent") {
      signal?.throwIfAborted();
      throw new Error("somebody waits for ever");
    }
    if (answer === 503) return new Response("busy", { status: 503 });
    if (answer === "ok") return Response.json({ access_token: "t", expires_in: 60 });
    return Response.json({ error: answer }, { status: 400 });
  };
  const done = await signInByDevice({
    provider: "acme",
    settings: { clientId: "c", scopes: [], params: {} },
    server: { tokenUrl: "https://a.example/token", deviceUrl: "https://a.example/device" },
    client: { clientId: "c" },
    fetch,
    nowMs: () => nowMs,
    signal: new AbortController().signal,
    show: (code) => void shown.push(code),
    async pause(ms) {
      pauses.push(ms);
      nowMs += ms;
    },
  }).then(
    (tokens) => tokens.access,
    (error: Error) => error.message,
  );
  return { pauses, shown, done };
}

it.each([
  ["waits as long as the server says", ["authorization_pending", "ok"], 7, [7_000, 7_000], "t"],
  ["waits for five seconds where it does not say", ["ok"], undefined, [5_000], "t"],
  ["asks no more than once a second", ["authorization_pending", "ok"], 0, [1_000, 1_000], "t"],
  [
    "waits for five seconds more each time it is too fast",
    ["slow_down", "slow_down", "ok"],
    5,
    [5_000, 10_000, 15_000],
    "t",
  ],
  [
    "doubles the pause while the server is not there",
    ["down", 503, "authorization_pending", "ok"],
    5,
    [5_000, 10_000, 20_000, 20_000],
    "t",
  ],
  [
    "ends when the code is refused",
    ["access_denied"],
    5,
    [5_000],
    "Signing in to acme: it was refused on the other device.",
  ],
  [
    "ends when the server says that the code is old",
    ["expired_token"],
    5,
    [5_000],
    "Signing in to acme: nobody typed the code in time.",
  ],
  ["ends with any other refusal", ["invalid_client"], 5, [5_000], "a.example refused it (HTTP 400, invalid_client)"],
] as const)("%s", async (_what, answers, interval, pauses, done) => {
  expect(await pausesOf(answers, 600, interval)).toMatchObject({ pauses: [...pauses], done });
});

it("ends when the code has expired, and waits no longer than that", async () => {
  const { pauses, done } = await pausesOf([], 12, 5);
  expect(pauses).toEqual([5_000, 5_000, 2_000]);
  expect(done).toBe("Signing in to acme: nobody typed the code in time.");
});

it("waits for a minute at the most, however long the server is not there", async () => {
  const { pauses } = await pausesOf(["down", "down", "down", "down", "down", "down", "ok"], 600, 5);
  expect(Math.max(...pauses)).toBe(limits.signInPollMsMax);
});

it("asks again, and less often, when the server takes a request and says nothing", async () => {
  // Time is over at once: nobody waits for it here.
  const late = new DOMException("late", "TimeoutError");
  const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort(late));
  onTestFinished(() => timeout.mockRestore());
  expect(await pausesOf(["silent", "ok"], 600, 5)).toMatchObject({ pauses: [5_000, 10_000], done: "t" });
  expect(timeout).toHaveBeenCalledWith(limits.modelRenewMs);
});

it.each([
  ["a new line", "https://a.example/x\nOpen https://evil.example"],
  ["what moves the cursor", "https://a.example/\u001b[2K\u001b[1Gx"],
])("shows no address that has %s in it", async (_what, address) => {
  const refused = await pausesOf(["ok"], 600, 5, { verification_uri: address });
  expect(refused).toEqual({ pauses: [], shown: [], done: "Signing in to acme: it gave no code that can be read." });
  const { shown, done } = await pausesOf(["ok"], 600, 5, { verification_uri_complete: address });
  expect(done).toBe("t");
  expect(shown).toEqual([{ url: "https://a.example/x", code: "AB", expiresAtMs: 600_000 }]);
});
