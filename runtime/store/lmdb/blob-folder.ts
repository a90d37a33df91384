/** The files of `runtime/store/blobs.ts` on disk. */
import { access, copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BlobFolder } from "../blobs.ts";
import { writeFailure } from "./failures.ts";

let writes = 0;

export function openBlobFolder(sessionsDir: string): BlobFolder {
  const dir = join(sessionsDir, "blobs");
  const shelf = (name: string): string => join(dir, name.slice(0, 2));
  const place = (name: string): string => join(shelf(name), name);

  const list = async (): Promise<string[]> => {
    const shelves = await readdir(dir).catch(() => []);
    const found = await Promise.all(shelves.map((each) => readdir(join(dir, each)).catch(() => [])));
    return found.flat();
  };

  return {
    has: (name) =>
      access(place(name)).then(
        () => true,
        () => false,
      ),
    async write(name, bytes) {
      const unnamed = join(shelf(name), `${name}.new-${process.pid}-${writes++}`);
      try {
        await mkdir(shelf(name), { recursive: true, mode: 0o700 });
        await withFile(unnamed, "wx", async (file) => {
          await file.writeFile(bytes);
          await file.sync();
        });
        await rename(unnamed, place(name));
        // The name is on the disk when its directory is.
        for (const each of [shelf(name), dir]) await withFile(each, "r", (file) => file.sync());
      } catch (error) {
        await rm(unnamed, { force: true }).catch(() => undefined);
        throw writeFailure(
          dir,
          dir,
          "make the directory writable for this user on a local disk with free space",
          error,
        );
      }
    },
    read: (name) => readFile(place(name)).catch(() => new Uint8Array()),
    list,
    async bytes() {
      let sum = 0;
      // One after the other: there may be thousands, and nobody waits for the number.
      for (const name of await list())
        sum += await stat(place(name)).then(
          ({ size }) => size,
          () => 0,
        );
      return sum;
    },
    remove: (name) => rm(place(name), { force: true }),
    async copyTo(into) {
      const target = openShelves(into);
      for (const name of await list()) await copyFile(place(name), await target(name));
    },
  };
}

function openShelves(sessionsDir: string): (name: string) => Promise<string> {
  return async (name) => {
    const shelf = join(sessionsDir, "blobs", name.slice(0, 2));
    await mkdir(shelf, { recursive: true, mode: 0o700 });
    return join(shelf, name);
  };
}

async function withFile(
  path: string,
  flags: string,
  work: (file: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await work(file);
  } finally {
    await file.close();
  }
}
