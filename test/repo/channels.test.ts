/** A channel is a folder whose door says what it is. */
import { expect, test } from "vitest";
import { manifest as web } from "../../channels/web/index.ts";
import { manifest as webhook } from "../../channels/webhook/index.ts";
import { allFiles } from "./files.ts";

test("every channel has a door, and its manifest is named as its folder", () => {
  const folders = new Set(allFiles.flatMap((file) => /^channels\/([^/]+)\//.exec(file)?.[1] ?? []));
  expect(folders.size).toBeGreaterThanOrEqual(2);
  const manifests = { web, webhook };
  expect(folders).toEqual(new Set(Object.keys(manifests)));
  for (const [folder, { id, capabilities }] of Object.entries(manifests)) {
    expect(id).toBe(folder);
    expect(Object.keys(capabilities).toSorted()).toEqual(Object.keys(web.capabilities).toSorted());
    expect(allFiles).toContain(`channels/${folder}/index.ts`);
  }
});
