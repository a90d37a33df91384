/** Files of messages by their names: what they are, and how a text tells of them. Pure; the same for every channel. */
import type { Button, InboundMedia, MediaKind } from "./port.ts";

/** What platforms show by themselves; everything else is a document of unknown bytes. */
const types: Readonly<Record<string, string>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  gif: "image/gif",
  webp: "image/webp",
  mp3: "audio/mpeg",
  m4a: "audio/mp4",
  ogg: "audio/ogg",
  oga: "audio/ogg",
  wav: "audio/wav",
  mp4: "video/mp4",
  webm: "video/webm",
  pdf: "application/pdf",
  txt: "text/plain",
  md: "text/markdown",
  csv: "text/csv",
  json: "application/json",
  zip: "application/zip",
};

export const mimeTypeOf = (name: string): string =>
  types[name.slice(name.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";

export function mediaKindOf(mimeType: string): MediaKind {
  const [kind] = mimeType.split("/");
  return kind === "image" || kind === "audio" || kind === "video" ? kind : "document";
}

/** A name of one file, whatever its sender called it: no folder, nothing that is not seen, and an end that says what it is. */
export function fileNameOf({ kind, mimeType, name = "" }: InboundMedia): string {
  const own = name
    .slice(-255)
    .normalize("NFC")
    .replace(/[\p{C}\p{Zl}\p{Zp}/\\:*?"<>|]/gu, "_")
    .replace(/^[.\s]+|[.\s]+$/g, "");
  // With what stands in front of it within the 255 bytes of a name, whatever its letters are.
  const short = Array.from(own).slice(-60).join("");
  if (short !== "") return short;
  const end = Object.keys(types).find((ending) => types[ending] === mimeType?.split(";")[0]);
  return end === undefined ? kind : `${kind}.${end}`;
}

/** The text of a message with what came beside it: `[image: map.png]` above what was written. */
export function withMedia(text: string, media: readonly InboundMedia[]): string {
  const named = media.map(({ kind, name }) => `[${kind}${name === undefined ? "" : `: ${name.slice(0, 100)}`}]`);
  return [...named, ...(text.trim() === "" ? [] : [text])].join("\n");
}

/** For platforms without buttons, and for what carries their texts further. */
export function withButtonWords(text: string, buttons: readonly Button[] | undefined): string {
  if (buttons === undefined || buttons.length === 0) return text;
  return [text, "", "Answer with one of:", ...buttons.map((button) => `${button.text} (${button.label})`)].join("\n");
}

/**
 * Lines of an answer that name files of the agent's workspace, `MEDIA: charts/week.png`, apart from its text. In a block of code they are text;
 * so are those beyond `filesMax`.
 */
export function takeMediaLines(
  answer: string,
  filesMax: number,
): { readonly text: string; readonly paths: readonly string[] } {
  if (!answer.includes("MEDIA:")) return { text: answer, paths: [] };
  const paths: string[] = [];
  let fence: string | undefined;
  const lines = answer.split("\n").filter((line) => {
    const [, mark] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? [];
    if (mark !== undefined) fence = fence === undefined ? mark : mark.startsWith(fence) ? undefined : fence;
    const file = line.startsWith("MEDIA:") ? line.slice("MEDIA:".length).trim() : "";
    if (file === "" || fence !== undefined || paths.length >= filesMax) return true;
    paths.push(file);
    return false;
  });
  return paths.length === 0 ? { text: answer, paths } : { text: lines.join("\n").trim(), paths };
}
