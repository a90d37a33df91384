/** Right: commands that agents want to run and somebody has to allow, with all that would run, and one press that decides. Nothing while there are none. */
import { useRef } from "preact/hooks";
import type { WaitingCommand } from "../desks/commands.ts";
import type { Page } from "../page.ts";
import { Age } from "./times.tsx";

export function CommandsPanel({ page }: { readonly page: Page }) {
  const commands = page.commands.state.value;
  const title = useRef<HTMLHeadingElement>(null);
  if (commands.length === 0) return null;
  return (
    <section class="panel-part" aria-labelledby="commands-title" data-testid="commands">
      <h2 id="commands-title" class="panel-title" tabIndex={-1} ref={title}>
        Commands to allow <span class="count">{commands.length}</span>
      </h2>
      <ul class="list">
        {commands.map((command) => (
          <Entry key={command.id} page={page} command={command} onDone={() => title.current?.focus()} />
        ))}
      </ul>
    </section>
  );
}

interface EntryProps {
  readonly page: Page;
  readonly command: WaitingCommand;
  readonly onDone: () => void;
}

function Entry({ page, command, onDone }: EntryProps) {
  const { id, agentId, sessionKey, words, folder, place, variables, takesInput, askedAtMs, isAllowed } = command;
  return (
    <li class="entry" data-testid="command" data-id={id}>
      <p class="entry-title">
        {agentId} wants to run a command {place === "host" ? "on the host" : `in ${place}`}
      </p>
      <p class="row-more">
        in {sessionKey}, asked <Age atMs={askedAtMs} nowMs={page.nowMs} /> ago
      </p>
      <p class="entry-text mono" data-testid="command-words">
        {words}
      </p>
      <p class="row-more">
        folder <span class="mono">{folder}</span>
      </p>
      {takesInput && <p class="row-more">It takes what the agent writes to it while it runs.</p>}
      {variables.length > 0 && (
        <details class="entry-details">
          <summary>
            {variables.length} {variables.length === 1 ? "variable" : "variables"}
          </summary>
          <ul class="kept mono">
            {variables.map((variable) => (
              <li key={variable}>{variable}</li>
            ))}
          </ul>
        </details>
      )}
      {isAllowed ? (
        <p class="row-more">Allowed. It runs once, when its session asks for it again.</p>
      ) : (
        <Decision page={page} command={command} onDone={onDone} />
      )}
    </li>
  );
}

function Decision({ page, command: { id, agentId, words }, onDone }: EntryProps) {
  const disabled = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const about = `the command of ${agentId}: ${words}`;
  const decide = (decision: "allow-once" | "deny"): void => {
    onDone();
    page.commands.decide(id, decision);
  };
  return (
    <div class="entry-actions" role="group" aria-label={`Decide about ${about}`}>
      <button
        type="button"
        class="button"
        data-testid="command-allow"
        aria-label={`Allow once ${about}`}
        disabled={disabled}
        onClick={() => decide("allow-once")}
      >
        Allow once
      </button>
      <button
        type="button"
        class="button quiet"
        data-testid="command-deny"
        aria-label={`Deny ${about}`}
        disabled={disabled}
        onClick={() => decide("deny")}
      >
        Deny
      </button>
    </div>
  );
}
