/**
 * Pictures of a request. A cell names files of its workspace; they are read here with each call, so that neither the conversation nor the main thread
 * carries them, and a file that is gone, or is no picture, is a note in its place and never a failed turn.
 */
import { readWorkspaceFile } from "../channels/workspace-files.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { pictureTypeOf } from "../kernel/picture-types.ts";
import type { ModelMessage, ModelPicture, ModelRequest } from "../thread/model-port.ts";

export type Shown =
  | { readonly type: "picture"; readonly mediaType: string; readonly bytes: number; readonly base64: string }
  /** Why it is not shown; it follows its path in a sentence. */
  | { readonly type: "note"; readonly why: string };

/** By path. */
export type Pictures = ReadonlyMap<string, Shown>;

export interface PicturePlace {
  /** Absent: the agent has none. */
  readonly workspace: string | undefined;
  /** Of one file. */
  readonly bytesMax: number;
  /** What the model does not read: why none is shown to it. */
  readonly blind?: string;
}

export async function readPictures(
  { messages }: Pick<ModelRequest, "messages">,
  { workspace, bytesMax, blind }: PicturePlace,
): Promise<Pictures> {
  const shown = new Map<string, Shown>();
  let count = 0;
  let bytesLeft: number = limits.modelPicturesBytesMax;
  // The newest first: those are what is spoken of.
  for (const path of new Set(messages.flatMap(picturesOf).toReversed())) {
    const found =
      blind !== undefined
        ? note(blind)
        : workspace === undefined
          ? note("there is no workspace to find it in")
          : count >= limits.modelPicturesMax || bytesLeft <= 0
            ? note("there are newer ones, and so many are shown at once")
            : await readOne(workspace, path, Math.min(bytesMax, bytesLeft));
    shown.set(path, found);
    if (found.type === "note") continue;
    count++;
    bytesLeft -= found.bytes;
  }
  return shown;
}

/** The same, with none of them: a provider that refuses a request may do so for a picture. */
export const withoutPictures = (pictures: Pictures): Pictures =>
  new Map(
    [...pictures].map(([path, shown]) => [path, shown.type === "note" ? shown : note("the model did not take it")]),
  );

export const hasPictures = (pictures: Pictures): boolean =>
  [...pictures.values()].some(({ type }) => type === "picture");

export const picturesOf = (message: ModelMessage): readonly string[] =>
  message.role === "assistant" ? [] : (message.pictures ?? []).map(({ path }: ModelPicture) => path);

const note = (why: string): Shown => ({ type: "note", why });

async function readOne(workspace: string, path: string, bytesMax: number): Promise<Shown> {
  try {
    const bytes = await readWorkspaceFile(workspace, path, bytesMax);
    const mediaType = pictureTypeOf(bytes);
    if (mediaType === undefined) return note("it is no picture in PNG, JPEG, GIF or WebP");
    return { type: "picture", mediaType, bytes: bytes.length, base64: bytes.toString("base64") };
  } catch (error) {
    return note(toRefusal(error).message);
  }
}
