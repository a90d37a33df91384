/** A message's text with its little formatting. Strings become text nodes; there is no way for markup to get in. */
import { Fragment } from "preact";
import { type Inline, parseRichText } from "../rich-text.ts";

export function RichText({ text }: { readonly text: string }) {
  return (
    <div class="rich-text">
      {parseRichText(text).map((block, index) =>
        block.type === "code" ? (
          <pre key={index} tabIndex={0} aria-label={block.language === "" ? "Code" : `Code, ${block.language}`}>
            <code>{block.text}</code>
          </pre>
        ) : (
          <p key={index}>
            {block.lines.map((line, at) => (
              <Fragment key={at}>
                {at > 0 && <br />}
                {line.map(inlineNode)}
              </Fragment>
            ))}
          </p>
        ),
      )}
    </div>
  );
}

function inlineNode(part: Inline) {
  if (part.type === "text") return part.text;
  if (part.type === "code") return <code>{part.text}</code>;
  return (
    <a href={part.href} target="_blank" rel="noopener noreferrer">
      {part.text}
    </a>
  );
}
