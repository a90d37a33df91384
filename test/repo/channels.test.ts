/** A channel is a folder whose door says what it is. */
import { expect, test } from "vitest";
import { builtChannels } from "../../channels/built.ts";
import { manifest as web } from "../../channels/web/index.ts";
import { manifest as webhook } from "../../channels/webhook/index.ts";
import { allFiles } from "./files.ts";

test("every channel has a door, and its manifest is named as its folder", () => {
  const folders = new Set(allFiles.flatMap((file) => /^channels\/([^/]+)\//.exec(file)?.[1] ?? []));
  const manifests = { web, webhook, ...builtChannels };
  expect(folders).toEqual(new Set(Object.keys(manifests)));
  for (const [folder, { id, capabilities }] of Object.entries(manifests)) {
    expect(id).toBe(folder);
    expect(Object.keys(capabilities).toSorted()).toEqual(Object.keys(web.capabilities).toSorted());
    expect(allFiles).toContain(`channels/${folder}/index.ts`);
  }
});

test("a channel with a thread of its own is a folder of four files, and what decides in it is pure", () => {
  for (const folder of Object.keys(builtChannels))
    for (const file of ["manifest", "inbound", "outbound", "index"])
      expect(allFiles, folder).toContain(`channels/${folder}/${file}.ts`);
});
