/** Left: the agents, the sessions of the chosen one, and dead letters if there are any. Plain buttons, so Tab and Enter are all it takes. */
import type { Page } from "../page.ts";
import { sessionTitle } from "../store.ts";
import type { AgentStatus } from "../wire.ts";
import { AskTwice } from "./ask-twice.tsx";
import { AgentState } from "./agent-state.tsx";
import { DeadLettersPanel } from "./dead-letters-panel.tsx";
import { Time } from "./times.tsx";

interface PanelProps {
  readonly page: Page;
  /** After something was chosen, so that a drawer can close. */
  readonly onChosen: () => void;
}

export function AgentsPanel(props: PanelProps) {
  return (
    <>
      <AgentList {...props} />
      <SessionList {...props} />
      <DeadLettersPanel page={props.page} />
    </>
  );
}

function AgentList({ page, onChosen }: PanelProps) {
  const { agents, agentsKnown, choice, mayWrite, busy, connection } = page.view;
  return (
    <nav class="panel-part" aria-labelledby="agents-title">
      <h2 id="agents-title" class="panel-title">
        Agents {agents.value.length > 0 && <span class="count">{agents.value.length}</span>}
      </h2>
      {mayWrite.value && agents.value.length > 0 && (
        <p class="panel-actions">
          <AskTwice
            words="Stop everything"
            question="Stop every agent?"
            label="Stop everything that agents do"
            labelAsking="Stop every agent? What runs and what waits ends"
            testId="stop-everything"
            disabled={busy.value.has("stop:all") || connection.value.type !== "ready"}
            onConfirm={page.work.stopEverything}
          />
        </p>
      )}
      {agentsKnown.value && agents.value.length === 0 && (
        <p class="empty">
          No agent is configured. Add one to <code>agents.list</code> in the configuration file.
        </p>
      )}
      <ul class="list">
        {agents.value.map((agent) => (
          <li key={agent.agentId}>
            <AgentButton
              agent={agent}
              chosen={agent.agentId === choice.value?.agentId}
              onClick={() => {
                page.chooseAgent(agent.agentId);
                onChosen();
              }}
            />
          </li>
        ))}
      </ul>
    </nav>
  );
}

interface AgentButtonProps {
  readonly agent: AgentStatus;
  readonly chosen: boolean;
  readonly onClick: () => void;
}

function AgentButton({ agent, chosen, onClick }: AgentButtonProps) {
  const { agentId, name, phase, reason, queueDepth } = agent;
  const isDown = phase === "parked" || phase === "disabled";
  return (
    <button
      type="button"
      class="row agent"
      data-testid={`agent-${agentId}`}
      aria-current={chosen ? "true" : undefined}
      onClick={onClick}
    >
      <span class="row-line">
        <span class="row-name">{name}</span>
        <AgentState agent={agent} testId={`agent-state-${agentId}`} />
      </span>
      <span class="row-line row-more">
        <span class="mono">{agentId}</span>
        {agent.isDefault && <span>default</span>}
        {queueDepth > 0 && <span data-testid={`agent-queue-${agentId}`}>{queueDepth} waiting</span>}
      </span>
      {isDown && <span class="row-reason">{reason ?? "No reason was given; the gateway’s log has more."}</span>}
    </button>
  );
}

function SessionList({ page, onChosen }: PanelProps) {
  const { agent, choice, sessions } = page.view;
  if (agent.value === undefined) return null;
  const mainSessionKey = agent.value.mainSessionKey;
  return (
    <nav class="panel-part" aria-labelledby="sessions-title">
      <h2 id="sessions-title" class="panel-title">
        Sessions of {agent.value.name}
      </h2>
      <ul class="list">
        {sessions.value.map((session) => (
          <li key={session.key}>
            <button
              type="button"
              class="row session"
              data-testid="session"
              data-key={session.key}
              title={session.key}
              aria-current={session.key === choice.value?.sessionKey ? "true" : undefined}
              onClick={() => {
                page.chooseSession(session.key);
                onChosen();
              }}
            >
              <span class="row-line">
                <span class="row-name">{sessionTitle(session, mainSessionKey)}</span>
                <span class="row-time">
                  <Time atMs={session.updatedAtMs} />
                </span>
              </span>
            </button>
          </li>
        ))}
      </ul>
    </nav>
  );
}
