/** The audit trail on the page, without its looks. */
import { expect, it } from "vitest";
import { open, settled } from "./fakes.ts";

const row = (n: number) => ({ log: "decisions", n, type: "grant_added", atMs: n });

it("older rows that were asked for twice are shown once", async () => {
  const { page, gateway, connect } = open();
  await connect();
  page.audit.show({});
  gateway.link.answer("audit.list", { rows: [row(4), row(3)], cursor: "c1" });
  await settled();
  page.audit.more();
  page.audit.more();
  gateway.link.answer("audit.list", { rows: [row(2)], cursor: "c2" });
  gateway.link.answer("audit.list", { rows: [row(2)], cursor: "c2" });
  await settled();
  expect(page.view.audit.value.rows.map(({ id }) => id)).toEqual(["decisions:4", "decisions:3", "decisions:2"]);
  page.audit.more();
  expect(gateway.link.take("audit.list").params).toMatchObject({ cursor: "c2" });
});
