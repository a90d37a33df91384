/** Backups that operators start: one at a time, into a place that is named in full. */
import { expect, it } from "vitest";
import { makeBackups } from "../../../runtime/supervisor/backups.ts";

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;

it("a second one is refused while one runs, and taken when that has ended, whichever way", async () => {
  const copies: PromiseWithResolvers<never>[] = [];
  const snapshot = () => {
    const copy = Promise.withResolvers<never>();
    copies.push(copy);
    return copy.promise;
  };
  const backups = makeBackups({ snapshot }, () => 5, quiet);
  expect(backups.start("/a")).toMatchObject({ state: "running", to: "/a" });
  expect(() => backups.start("/b")).toThrow(
    expect.objectContaining({
      code: "CLOISTER_BACKUP_RUNNING",
      message: expect.stringContaining("one to /a is running"),
    }),
  );
  copies[0]?.reject(new Error("no room"));
  await expect.poll(() => backups.status().state).toBe("failed");
  expect(backups.start("/b")).toMatchObject({ state: "running", to: "/b" });
  expect(copies).toHaveLength(2);
});

it("a path that is not absolute is refused, and nothing is started", () => {
  const backups = makeBackups({ snapshot: () => Promise.reject(new Error("asked")) }, () => 5, quiet);
  expect(() => backups.start("here")).toThrow(expect.objectContaining({ code: "CLOISTER_BACKUP_PLACE" }));
  expect(backups.status()).toEqual({ state: "none" });
});
