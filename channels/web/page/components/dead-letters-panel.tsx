/** Left, below the sessions: messages that will not be handled, with what an operator with `operator.admin` can do. Nothing while there are none. */
import { useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import type { DeadLetterEntry } from "../wire.ts";
import { AskTwice } from "./ask-twice.tsx";
import { Time } from "./times.tsx";

export function DeadLettersPanel({ page }: { readonly page: Page }) {
  const { letters, total } = page.view.deadLetters.value;
  const title = useRef<HTMLHeadingElement>(null);
  if (total === 0) return null;
  return (
    <section class="panel-part" aria-labelledby="dead-letters-title" data-testid="dead-letters">
      {/* It takes the focus when the button that had it goes away with its letter. */}
      <h2 id="dead-letters-title" class="panel-title" tabIndex={-1} ref={title}>
        Dead letters{" "}
        <span class="count" data-testid="dead-letters-count">
          {total}
        </span>
      </h2>
      <ul class="list">
        {letters.map((letter) => (
          <Letter key={letter.id} page={page} letter={letter} onDone={() => title.current?.focus()} />
        ))}
      </ul>
      {total > letters.length && (
        <p class="empty">
          and {total - letters.length} older: <code>cloister deadletters list</code>
        </p>
      )}
    </section>
  );
}

interface LetterProps {
  readonly page: Page;
  readonly letter: DeadLetterEntry;
  readonly onDone: () => void;
}

function Letter({ page, letter, onDone }: LetterProps) {
  const { id, fate, reason, sessionKey, preview, atMs } = letter;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const about = `the message to ${sessionKey}`;
  return (
    <li class="entry" data-testid="dead-letter" data-id={id} data-fate={fate}>
      <span class="row-line">
        <span class="row-name" title={sessionKey}>
          {sessionKey}
        </span>
        <span class="row-time">
          <Time atMs={atMs} />
        </span>
      </span>
      <span class="entry-text">{preview}</span>
      <span class="row-reason" data-testid="dead-letter-reason">
        {fate}: {reason}
      </span>
      {page.view.isAdmin.value && (
        <span class="entry-actions">
          <button
            type="button"
            class="button"
            data-testid="dead-letter-replay"
            aria-label={`Replay ${about}`}
            disabled={isBusy}
            onClick={() => {
              onDone();
              page.replayLetter(id);
            }}
          >
            Replay
          </button>
          {/* Nothing brings a discarded message back. */}
          <AskTwice
            words="Discard"
            question="Discard for good?"
            label={`Discard ${about}`}
            labelAsking={`Discard for good? This is about ${about}`}
            testId="dead-letter-discard"
            disabled={isBusy}
            onConfirm={() => {
              onDone();
              page.discardLetter(id);
            }}
          />
        </span>
      )}
    </li>
  );
}
