/** Middle: the head, the log of the chosen session, and what to try while it is empty. */
import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Message, retryText } from "../conversation.ts";
import type { Page } from "../page.ts";
import { authorOf, sessionTitle } from "../store.ts";
import type { AgentStatus } from "../wire.ts";
import { AgentId, AgentState } from "./agent-state.tsx";
import { AskTwice } from "./ask-twice.tsx";
import { Icon } from "./icons.tsx";
import { MessageItem } from "./message.tsx";

export function ConversationHead({ page }: { readonly page: Page }) {
  const { agent, choice, sessions } = page.view;
  if (agent.value === undefined || choice.value === undefined) return null;
  const session = sessions.value.find(({ key }) => key === choice.value?.sessionKey);
  return (
    <div class="conversation-head">
      <h1>
        {agent.value.name} <AgentId agent={agent.value} />
      </h1>
      <AgentState agent={agent.value} />
      <p class="conversation-session" title={choice.value.sessionKey}>
        {session === undefined ? choice.value.sessionKey : sessionTitle(session, agent.value.mainSessionKey)}
      </p>
      <AgentOrders page={page} agent={agent.value} />
    </div>
  );
}

function AgentOrders({ page, agent }: { readonly page: Page; readonly agent: AgentStatus }) {
  const { mayWrite, isAdmin, busy, connection } = page.view;
  const { agentId } = agent;
  const isReady = connection.value.type === "ready";
  if (agent.phase === "parked" && isAdmin.value)
    return (
      <button
        type="button"
        class="button"
        data-testid="agent-start"
        aria-label={`Start agent ${agentId} again`}
        disabled={!isReady || busy.value.has(`start:${agentId}`)}
        onClick={() => page.work.startAgent(agentId)}
      >
        Start agent
      </button>
    );
  if (!mayWrite.value) return null;
  return (
    <AskTwice
      key={agentId}
      words="Stop agent"
      question="Stop all its work?"
      label={`Stop agent ${agentId}: what it does and what waits for it`}
      labelAsking={`Stop all its work? Every session of ${agentId}`}
      testId="agent-stop"
      disabled={!isReady || busy.value.has(`stop:${agentId}`)}
      onConfirm={() => page.work.stopAgent(agentId)}
    />
  );
}

/** How close to the end somebody must be for new text to pull the view along. */
const followPx = 80;

export function Log({ page }: { readonly page: Page }) {
  const { conversation, choice, connection, agents } = page.view;
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const shown = useRef<string>(undefined);
  const isBehind = useSignal(false);
  const { messages, loaded, loadError } = conversation.value;
  const agentId = choice.value?.agentId ?? "";

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const isOther = shown.current !== choice.value?.sessionKey;
    shown.current = choice.value?.sessionKey;
    if (isOther || messages.at(-1)?.state === "sending") follows.current = true;
    if (follows.current) element.scrollTop = element.scrollHeight;
    isBehind.value = element.scrollHeight - element.scrollTop - element.clientHeight > followPx;
  });

  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    follows.current = element.scrollHeight - element.scrollTop - element.clientHeight <= followPx;
    isBehind.value = !follows.current;
  };
  const toEnd = (): void => {
    follows.current = true;
    box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  const isReady = connection.value.type === "ready";
  const retryOf = (message: Message): "no" | "now" | "later" => {
    if (retryText(conversation.value, message) === undefined) return "no";
    return isReady ? "now" : "later";
  };

  return (
    <div class="log-frame">
      {/* Answers are told by the announcer when they are complete; a stream read out piece by piece is noise. */}
      <div class="log" ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-live="off" aria-label="Conversation">
        {loadError !== undefined && (
          <p class="load-error" role="alert">
            The history could not be read: {loadError}{" "}
            <button type="button" class="button quiet" disabled={!isReady} onClick={page.reloadHistory}>
              <Icon name="retry" /> Try again
            </button>
          </p>
        )}
        {messages.length === 0 && loaded === "loading" && <p class="empty">Reading the history…</p>}
        {messages.length === 0 && loaded === "yes" && <Suggestions page={page} />}
        <ol class="messages">
          {messages.map((message) => (
            <MessageItem
              key={message.id}
              message={message}
              author={authorOf({ agents: agents.value }, message, agentId)}
              retry={retryOf(message)}
              onRetry={page.retry}
            />
          ))}
        </ol>
      </div>
      {isBehind.value && (
        <button type="button" class="button to-end" onClick={toEnd}>
          <Icon name="down" /> Latest
        </button>
      )}
    </div>
  );
}

function Suggestions({ page }: { readonly page: Page }) {
  const { agents, agent } = page.view;
  const other = agents.value.find(({ agentId }) => agentId !== agent.value?.agentId);
  const tries = [
    ...(other === undefined ? [] : [`ask ${other.agentId} what time it is`]),
    "who am I",
    "list sessions",
    "remember that ",
    "what did I say before",
  ];
  const take = (text: string): void => {
    page.write(text);
    document.getElementById("composer")?.focus();
  };
  return (
    <div class="suggestions">
      <p class="suggestions-title">Nothing said here yet.</p>
      <p>Try:</p>
      <ul>
        {tries.map((text) => (
          <li key={text}>
            <button type="button" class="button suggestion" onClick={() => take(text)}>
              {text.endsWith(" ") ? `${text.trim()}…` : text}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
