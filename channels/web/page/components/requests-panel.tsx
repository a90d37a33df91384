/**
 * Right, on top: rights that agents lacked, and what an operator with `operator.admin` decides about them. What an approval does is
 * said in the gateway's words before it is pressed.
 */
import { useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import { describeRight, type KeptMessage, type RightRequest } from "../wire-work.ts";
import type { Approval } from "../work.ts";
import { Age, Time } from "./times.tsx";

export function RequestsPanel({ page }: { readonly page: Page }) {
  const requests = page.view.requests.value;
  const title = useRef<HTMLHeadingElement>(null);
  return (
    <section class="panel-part" aria-labelledby="requests-title" data-testid="requests">
      {/* It takes the focus when the button that had it goes away with its request. */}
      <h2 id="requests-title" class="panel-title" tabIndex={-1} ref={title}>
        Requests for rights {requests.length > 0 && <span class="count">{requests.length}</span>}
      </h2>
      {requests.length === 0 && <p class="empty">No agent asks for a right.</p>}
      <ul class="list">
        {requests.map((request) => (
          <Request key={request.id} page={page} request={request} onDone={() => title.current?.focus()} />
        ))}
      </ul>
    </section>
  );
}

interface RequestProps {
  readonly page: Page;
  readonly request: RightRequest;
  readonly onDone: () => void;
}

function Request({ page, request, onDone }: RequestProps) {
  const { id, from, to, verb, calls, createdAtMs, expiresAtMs, messages, releasing, consequences } = request;
  return (
    <li class="entry" data-testid="request" data-id={id}>
      <p class="entry-title">
        {from} wants to {describeRight(verb, to)}
      </p>
      <p class="row-more">
        asked <Age atMs={createdAtMs} nowMs={page.nowMs} /> ago{calls > 1 && `, ${calls} times`}
        {!releasing && (
          <>
            ; open until <Time atMs={expiresAtMs} />
          </>
        )}
      </p>
      <Messages messages={messages} />
      <details class="entry-details">
        <summary>What an approval does</summary>
        {messages.length > 0 && <Consequences title="Approved once" lines={consequences.once} />}
        <Consequences title="Approved for an hour or for good" lines={consequences.grant} />
      </details>
      {releasing && <p class="row-more">Approved. What is left goes out when a mailbox has room.</p>}
      {!releasing && page.view.isAdmin.value && <Decision page={page} request={request} onDone={onDone} />}
      {!releasing && !page.view.isAdmin.value && <p class="row-more">An operator with operator.admin decides.</p>}
    </li>
  );
}

const messagesShown = 3;

function Messages({ messages }: { readonly messages: readonly KeptMessage[] }) {
  if (messages.length === 0) return null;
  return (
    <ul class="kept" aria-label="Messages that wait for the decision">
      {messages.slice(0, messagesShown).map(({ fromSession, toSession, preview }, index) => (
        <li key={index} class="entry-text" title={`${fromSession} to ${toSession}`} data-testid="request-message">
          {preview}
        </li>
      ))}
      {messages.length > messagesShown && <li class="row-more">and {messages.length - messagesShown} more</li>}
    </ul>
  );
}

function Consequences({ title, lines }: { readonly title: string; readonly lines: readonly string[] }) {
  return (
    <>
      <p>{title}:</p>
      <ul>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}

const approvals: readonly { readonly how: Approval; readonly words: string }[] = [
  { how: "once", words: "Approve once" },
  { how: "hour", words: "For an hour" },
  { how: "good", words: "For good" },
];

function Decision({ page, request, onDone }: RequestProps) {
  const { id, from, to, verb, messages } = request;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const about = `${from} may ${describeRight(verb, to)}`;
  // Without a message there is nothing that could be let through once.
  const offered = approvals.filter(({ how }) => how !== "once" || messages.length > 0);
  return (
    <div class="entry-actions" role="group" aria-label={`Decide whether ${about}`}>
      {offered.map(({ how, words }) => (
        <button
          key={how}
          type="button"
          class="button"
          data-testid={`request-${how}`}
          aria-label={`${words}: ${about}`}
          disabled={isBusy}
          onClick={() => {
            onDone();
            page.work.approve(request, how);
          }}
        >
          {words}
        </button>
      ))}
      <button
        type="button"
        class="button quiet"
        data-testid="request-deny"
        aria-label={`Deny that ${about}`}
        disabled={isBusy}
        onClick={() => {
          onDone();
          page.work.deny(id);
        }}
      >
        Deny
      </button>
    </div>
  );
}
