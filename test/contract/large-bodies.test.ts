/** Long texts between agents and from clients, over the real kernel, cells and store: they arrive as they were sent. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { actor } from "../support/actors.ts";
import { openGateway } from "../support/gateway.ts";

const weigher = {
  ...actor("weigher"),
} as const;
const sum = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");
const client = { connId: "t", clientId: "tester", mode: "t", scopes: ["operator.admin"] };

test("a text of a client as long as one may be arrives whole, and one more character is refused", async () => {
  const gateway = await openGateway([{ id: "main", ...weigher }]);
  const text = `weigh ${"é".repeat(limits.bodyCharsMax - 6)}`;
  expect(await gateway.reply("main", text)).toBe(`${text.length} ${sum(text)}`);
  const refused = await gateway.doors.rpc(client, "chat.send", { sessionKey: "agent:main:main", message: `${text}x` });
  expect(refused).toMatchObject({ ok: false, refusal: { code: "CLOISTER_MESSAGE_TOO_LARGE" } });
});

test("an agent sends another one a long text, which is a file until nobody needs it", async () => {
  const gateway = await openGateway(
    [
      { id: "main", ...weigher },
      { id: "other", ...weigher },
    ],
    { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" },
  );
  const text = "long ".repeat(400_000);
  expect(await gateway.reply("main", "pass on 400000")).toBe(`other weighed ${text.length} ${sum(text)}`);
  const { rows } = await gateway.store.history("other", "agent:other:main", 1, 1);
  expect(rows.map((row) => sum(row.text))).toEqual([sum(text)]);
});

test("an answer has its own bound", async () => {
  const gateway = await openGateway([{ id: "main", ...weigher }]);
  expect(await gateway.say("main", `say ${limits.replyCharsMax + 1}`)).toMatchObject({
    refusal: { code: "CLOISTER_MESSAGE_TOO_LARGE", message: expect.stringContaining(String(limits.replyCharsMax)) },
  });
  expect((await gateway.reply("main", `say ${limits.replyCharsMax}`)).length).toBe(limits.replyCharsMax);
});
