/** Where a message is written. Enter sends, Shift+Enter breaks the line; without a connection the draft waits. */
import { useEffect, useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import { Icon } from "./icons.tsx";

export function Composer({ page }: { readonly page: Page }) {
  const { connection, choice, agent, draft, isRunning, notice } = page.view;
  const field = useRef<HTMLTextAreaElement>(null);
  const hadFocus = useRef(false);
  const canWrite = connection.value.type === "ready" && choice.value !== undefined;

  // A field that is disabled loses the focus, and the browser does not give it back.
  useEffect(() => {
    if (canWrite && hadFocus.current && document.activeElement === document.body) field.current?.focus();
  }, [canWrite]);

  const onKeyDown = (event: KeyboardEvent): void => {
    // While an input method composes a character, Enter confirms that character.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    page.send();
  };
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    page.send();
    field.current?.focus();
  };

  return (
    <form class="composer" onSubmit={onSubmit}>
      {notice.value !== undefined && (
        <p class="notice" role="alert">
          {notice.value}{" "}
          <button type="button" class="button quiet" onClick={page.dismissNotice}>
            Dismiss
          </button>
        </p>
      )}
      <div class="composer-box">
        <label class="hidden-label" for="composer">
          Message to {agent.value?.name ?? "the agent"}
        </label>
        <textarea
          id="composer"
          data-testid="composer"
          ref={field}
          rows={1}
          placeholder={canWrite ? `Message ${agent.value?.name ?? ""}` : "Disconnected; drafts are kept"}
          value={draft.value}
          disabled={!canWrite}
          aria-describedby="composer-hint"
          onInput={(event) => page.write(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onFocus={() => {
            hadFocus.current = true;
          }}
          onBlur={() => {
            hadFocus.current = field.current?.disabled === true;
          }}
        />
        {isRunning.value && (
          <button type="button" class="button stop" data-testid="stop" disabled={!canWrite} onClick={page.stop}>
            <Icon name="stop" /> Stop
          </button>
        )}
        <button
          type="submit"
          class="button primary"
          data-testid="send"
          aria-label="Send"
          disabled={!canWrite || draft.value.trim() === ""}
        >
          <Icon name="send" />
        </button>
      </div>
      <p id="composer-hint" class="composer-hint">
        <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> breaks the line
      </p>
    </form>
  );
}
