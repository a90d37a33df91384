/** The configuration: the file without its secrets, edited as JSON; beside it what is wrong, what differs, and what that does. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import {
  type ConfigChange,
  type ConfigCheck,
  type ConfigIssue,
  type ConfigState,
  isEdited,
  isStale,
  keyBelow,
  type KeyFacts,
} from "../desks/config.ts";
import type { Page } from "../page.ts";
import { AskTwice } from "./ask-twice.tsx";

export function ConfigView({ page }: { readonly page: Page }) {
  const state = page.config.state.value;
  useEffect(page.config.look, []);
  const isOff = page.view.connection.value.type !== "ready";
  return (
    <>
      <div class="desk-head">
        <h1 id="place-title" tabIndex={-1}>
          Configuration
        </h1>
        <p class="conversation-session mono" title={state.file}>
          {state.file}
        </p>
      </div>
      <div class="desk-body two-sided config">
        <div class="editor">
          <label for="config-text">The file as JSON; secrets are marks, and stay what they are</label>
          <textarea
            id="config-text"
            data-testid="config-text"
            class="mono"
            spellcheck={false}
            autocomplete="off"
            wrap="off"
            readOnly={state.broken.length > 0 && state.written === ""}
            aria-invalid={state.syntax !== undefined || state.check?.valid === false}
            aria-describedby="config-verdict"
            value={state.draft}
            onInput={({ currentTarget }) => page.config.write(currentTarget.value)}
          />
          <div class="entry-actions">
            <ApplyButton page={page} state={state} isOff={isOff} />
            <AskAgain page={page} state={state} isOff={isOff} />
          </div>
        </div>
        <div>
          <div id="config-verdict" role="status" data-testid="config-verdict">
            <Verdict state={state} />
          </div>
          {state.check !== undefined && <Changes check={state.check} />}
          <KeyLookUp page={page} state={state} />
        </div>
      </div>
    </>
  );
}

interface ButtonProps {
  readonly page: Page;
  readonly state: ConfigState;
  readonly isOff: boolean;
}

function ApplyButton({ page, state, isOff }: ButtonProps) {
  const { check, isApplying } = state;
  const disabled = isOff || isApplying || check?.valid !== true || check.changes.length === 0;
  const twice = check?.guarded ?? (isStale(state) ? "it takes back what others have changed" : undefined);
  if (twice !== undefined)
    return (
      <AskTwice
        words="Apply"
        question="Apply all the same?"
        label="Apply the changes"
        labelAsking={`Apply all the same? ${twice}`}
        testId="config-apply"
        disabled={disabled}
        onConfirm={page.config.apply}
      />
    );
  return (
    <button
      type="button"
      class="button primary"
      data-testid="config-apply"
      disabled={disabled}
      onClick={page.config.apply}
    >
      Apply
    </button>
  );
}

function AskAgain({ page, state, isOff }: ButtonProps) {
  if (!isEdited(state))
    return (
      <button type="button" class="button" data-testid="config-read" disabled={isOff} onClick={page.config.read}>
        Read again
      </button>
    );
  return (
    <AskTwice
      words="Drop my changes"
      question="Drop them?"
      label="Drop my changes, and read the file again"
      labelAsking="Drop them? What was typed here is lost"
      testId="config-read"
      disabled={isOff}
      onConfirm={page.config.read}
    />
  );
}

function Verdict({ state }: { readonly state: ConfigState }) {
  const { broken, syntax, check, error, told } = state;
  const issues = [
    ...broken.map(({ path, message }) => ({ path: `in the file: ${path}`, message })),
    ...(syntax === undefined ? [] : [{ path: "not JSON yet", message: syntax }]),
    ...(check?.issues ?? []),
  ];
  return (
    <>
      {told !== undefined && <p class="good">{told}</p>}
      {error !== undefined && <p class="row-reason">{error}</p>}
      {isStale(state) && (
        <p class="row-reason" data-testid="config-stale">
          The file has changed since you read it. What is listed here is how your text differs from the file as it is
          now: it would take the other changes back. Drop yours to begin with the new file.
        </p>
      )}
      <Issues issues={issues} />
      {issues.length === 0 && error === undefined && told === undefined && <p class="empty">{verdictOf(state)}</p>}
    </>
  );
}

function verdictOf(state: ConfigState): string {
  if (!isEdited(state)) return "Nothing is changed. What is typed is checked as a start of the gateway would check it.";
  if (state.check === undefined) return "Checking…";
  return state.check.changes.length === 0 ? "Valid, and no different from the file." : "Valid.";
}

export function Issues({ issues }: { readonly issues: readonly ConfigIssue[] }) {
  if (issues.length === 0) return null;
  return (
    <ul class="list">
      {issues.map(({ path, message }, index) => (
        <li key={index} class="entry" data-testid="config-issue">
          <p class="entry-title mono">{path}</p>
          <p class="row-reason">{message}</p>
        </li>
      ))}
    </ul>
  );
}

/** Of the editor's text, and of a proposal. */
export function Changes({ check }: { readonly check: ConfigCheck }) {
  const { changes, moreChanges, effects, guarded } = check;
  if (changes.length === 0) return null;
  return (
    <section aria-label="What would change">
      <h3 class="panel-title">
        What would change <span class="count">{changes.length + moreChanges}</span>
      </h3>
      <ConfigDifferences changes={changes} />
      {moreChanges > 0 && <p class="empty">and {moreChanges} more</p>}
      <ul class="effects" data-testid="config-effects">
        {effects.map((effect) => (
          <li key={effect}>{effect}</li>
        ))}
      </ul>
      {guarded !== undefined && <p class="row-reason">Apply asks twice: {guarded}</p>}
    </section>
  );
}

/** A side that is not there is left out; marks and words tell the sides apart, not the colour alone. */
function ConfigDifferences({ changes }: { readonly changes: readonly ConfigChange[] }) {
  return (
    <ul class="list">
      {changes.map(({ path, before, after, isHidden }) => (
        <li key={path} class="entry" data-testid="config-change" data-path={path}>
          <p class="entry-title mono">{path}</p>
          {isHidden && <p class="row-more">changes; what differs is not shown</p>}
          {!isHidden && before !== undefined && (
            <pre class="side before">
              <span class="hidden-label">before: </span>- {before}
            </pre>
          )}
          {!isHidden && after !== undefined && (
            <pre class="side after">
              <span class="hidden-label">after: </span>+ {after}
            </pre>
          )}
        </li>
      ))}
    </ul>
  );
}

function KeyLookUp({ page, state }: { readonly page: Page; readonly state: ConfigState }) {
  const path = useSignal("");
  const ask = (wanted: string): void => {
    path.value = wanted;
    page.config.lookUp(wanted);
  };
  return (
    <section aria-labelledby="key-title" class="key-look-up">
      <h2 id="key-title" class="panel-title">
        What a key means
      </h2>
      <form
        class="desk-tools"
        onSubmit={(event) => {
          event.preventDefault();
          ask(path.value.trim());
        }}
      >
        <label>
          Key{" "}
          <input
            data-testid="config-key"
            placeholder="agents.list[].module"
            autocomplete="off"
            spellcheck={false}
            value={path.value}
            onInput={({ currentTarget }) => {
              path.value = currentTarget.value;
            }}
          />
        </label>
        <button type="submit" class="button">
          Look it up
        </button>
      </form>
      <div aria-live="polite" data-testid="config-key-facts">
        {state.keyError !== undefined && <p class="row-reason">{state.keyError}</p>}
        {state.keyError === undefined && state.key !== undefined && <Key facts={state.key} ask={ask} />}
      </div>
    </section>
  );
}

function Key({ facts, ask }: { readonly facts: KeyFacts; readonly ask: (path: string) => void }) {
  const { path, text, type, choices, fallback, later, children } = facts;
  return (
    <>
      <p class="entry-title mono">{path === "" ? "the whole file" : path}</p>
      {text !== "" && <p>{text}</p>}
      <p class="row-more">
        {type}
        {choices.length > 0 && `: ${choices.join(", ")}`}
        {fallback !== undefined && `; default ${fallback}`}
      </p>
      {later !== undefined && <p class="row-reason">Not active in this version: {later}</p>}
      {children.length > 0 && (
        <p class="keys">
          {children.map((child) =>
            child === "*" ? (
              <span key={child} class="row-more">
                (names that you choose)
              </span>
            ) : (
              <button key={child} type="button" class="button quiet mono" onClick={() => ask(keyBelow(path, child))}>
                {child}
              </button>
            ),
          )}
        </p>
      )}
    </>
  );
}
