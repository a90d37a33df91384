/** Pictures of a request as the broker reads them: which are shown, and what is said of the others. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeEach, expect, it } from "vitest";
import { allowedModels } from "../../../runtime/broker/allowed-models.ts";
import { hasPictures, readPictures, withoutPictures } from "../../../runtime/broker/pictures.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { jpeg, png } from "../../support/pictures.ts";

const base = mkdtempSync(path.join(os.tmpdir(), "cloister-pictures-"));
afterAll(() => rmSync(base, { recursive: true }));

let workspace = "";
let made = 0;
beforeEach(() => {
  workspace = path.join(base, String(made++), "work");
  mkdirSync(workspace, { recursive: true });
});

const put = (name: string, bytes: Uint8Array): void => writeFileSync(path.join(workspace, name), bytes);
const read = async (paths: readonly string[], more: { bytesMax?: number; blind?: string } = {}) => {
  const messages = paths.map((one) => ({ role: "user" as const, text: "x", pictures: [{ path: one }] }));
  return readPictures({ messages }, { workspace, bytesMax: limits.modelPictureBytesDefault, ...more });
};
const told = async (one: string, more: { bytesMax?: number; blind?: string } = {}): Promise<string> => {
  const found = (await read([one], more)).get(one);
  return found?.type === "note" ? found.why : (found?.mediaType ?? "nothing");
};

it("reads what is there, whatever its name says", async () => {
  put("a.png", png);
  put("b.txt", jpeg);
  expect([await told("a.png"), await told("b.txt")]).toEqual(["image/png", "image/jpeg"]);
});

it("reads nothing outside of the workspace, through no link, and waits for no pipe", async () => {
  writeFileSync(path.join(workspace, "..", "outside.png"), png);
  symlinkSync("../outside.png", path.join(workspace, "link.png"));
  linkSync(path.join(workspace, "..", "outside.png"), path.join(workspace, "name.png"));
  symlinkSync("..", path.join(workspace, "up"));
  for (const name of [
    "../outside.png",
    path.join(workspace, "..", "outside.png"),
    "link.png",
    "name.png",
    "up/outside.png",
  ])
    expect(await told(name), name).toMatch(/is not below the workspace|is no file|another name|leads elsewhere/);
});

it("tells of one that is gone, that is no picture, and that is too large", async () => {
  put("a.svg", Buffer.from("<svg/>"));
  put("large.png", Buffer.concat([png, Buffer.alloc(1_000)]));
  expect(await told("gone.png")).toMatch(/is no file of the workspace/);
  expect(await told("a.svg")).toBe("it is no picture in PNG, JPEG, GIF or WebP");
  expect(await told("large.png", { bytesMax: 1_000 })).toMatch(/at most 1000/);
  expect(await told("large.png")).toBe("image/png");
});

it("reads none for a model that reads none, and none for an agent without a workspace", async () => {
  put("a.png", png);
  expect(await told("a.png", { blind: "x/y reads no pictures" })).toBe("x/y reads no pictures");
  const messages = [{ role: "user" as const, text: "", pictures: [{ path: "a.png" }] }];
  const found = await readPictures({ messages }, { workspace: undefined, bytesMax: 1_000 });
  expect(found.get("a.png")).toMatchObject({ type: "note" });
});

it("shows the newest, as many and as large as one request may have", async () => {
  const names = Array.from({ length: limits.modelPicturesMax + 2 }, (_, at) => `${at}.png`);
  for (const name of names) put(name, png);
  const found = await read([...names, "0.png"]);
  const shown = names.filter((name) => found.get(name)?.type === "picture");
  // The first one is named again at the end.
  expect(shown).toEqual(["0.png", ...names.slice(-(limits.modelPicturesMax - 1))]);
  const size = Math.floor(limits.modelPicturesBytesMax / 2) - 10;
  for (const name of ["a.png", "b.png", "c.png"]) put(name, Buffer.concat([png, Buffer.alloc(size - png.length)]));
  const large = await read(["a.png", "b.png", "c.png"], { bytesMax: limits.modelPicturesBytesMax });
  expect([...large].map(([name, { type }]) => `${name} ${type}`)).toEqual([
    "c.png picture",
    "b.png picture",
    "a.png note",
  ]);
});

it("can be left out of a request that was refused, with what is said of the others as it was", async () => {
  put("a.png", png);
  const found = await read(["a.png", "gone.png"]);
  expect(hasPictures(found)).toBe(true);
  const without = withoutPictures(found);
  expect(hasPictures(without)).toBe(false);
  expect(without.get("a.png")).toEqual({ type: "note", why: "the model did not take it" });
  expect(without.get("gone.png")).toEqual(found.get("gone.png"));
});

it("every agent with a model may ask the one that describes pictures, with its fallbacks", () => {
  const agents = { main: { primary: "a/b", fallbacks: ["a/c"], agentDir: "/nowhere" } };
  const settings = { agents, catalogue: [], imageModel: { primary: "v/one", fallbacks: ["v/two"] } };
  expect(allowedModels(settings, "main", "v/one")).toEqual(["v/one", "v/two"]);
  expect(() => allowedModels({ agents, catalogue: [] }, "main", "v/one")).toThrow(/may not use/);
  expect(allowedModels({ ...settings, imageModel: { primary: "a/b", fallbacks: [] } }, "main", "")).toEqual([
    "a/b",
    "a/c",
  ]);
});
