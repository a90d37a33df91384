/** One message. It renders again only when the message itself changes: a stream must not redraw the whole log. */
import { Component } from "preact";
import type { Message } from "../conversation.ts";
import { Icon } from "./icons.tsx";
import { RichText } from "./rich-text.tsx";
import { Time } from "./times.tsx";

export interface MessageProps {
  readonly message: Message;
  /** Who wrote it, in words. */
  readonly author: string;
  /** Whether the message offers a retry; `later` shows it while there is no connection to retry on. */
  readonly retry: "no" | "now" | "later";
  readonly onRetry: (message: Message) => void;
}

const stateNotes: Readonly<Partial<Record<Message["state"], string>>> = {
  sending: "sending…",
  streaming: "writing…",
  aborted: "stopped",
  failed: "failed",
};

export class MessageItem extends Component<MessageProps> {
  override shouldComponentUpdate(next: MessageProps): boolean {
    const { message, author, retry } = this.props;
    return message !== next.message || author !== next.author || retry !== next.retry;
  }

  override render({ message, author, retry, onRetry }: MessageProps) {
    const stateNote = stateNotes[message.state];
    return (
      <li
        class="message"
        data-testid="message"
        data-role={message.role}
        data-state={message.state}
        data-source={message.source?.type === "operator" ? undefined : message.source?.type}
      >
        <div class="message-head">
          <span class="message-author">{author}</span>
          <Time atMs={message.atMs} />
          {stateNote !== undefined && <span class="message-state">{stateNote}</span>}
        </div>
        {message.text !== "" && <MessageBody message={message} />}
        {message.note !== undefined && <p class="message-note">{message.note}</p>}
        {retry !== "no" && (
          <button
            type="button"
            class="button quiet"
            data-testid="retry"
            disabled={retry === "later"}
            onClick={() => onRetry(message)}
          >
            <Icon name="retry" /> Retry
          </button>
        )}
      </li>
    );
  }
}

function MessageBody({ message }: { readonly message: Message }) {
  if (message.role !== "tool") {
    return (
      <div class="message-body">
        <RichText text={message.text} />
      </div>
    );
  }
  return (
    <details class="message-body">
      <summary>Show the result ({message.text.length.toLocaleString()} characters)</summary>
      <pre tabIndex={0}>{message.text}</pre>
    </details>
  );
}
