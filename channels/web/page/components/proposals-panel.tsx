/** Right: changes of the configuration that agents propose, with what each would do, and one press that decides. Nothing while there are none. */
import { useRef } from "preact/hooks";
import type { Proposal } from "../desks/proposals.ts";
import type { Page } from "../page.ts";
import { AskTwice } from "./ask-twice.tsx";
import { Changes, Issues } from "./config-view.tsx";
import { Age } from "./times.tsx";

export function ProposalsPanel({ page }: { readonly page: Page }) {
  const proposals = page.proposals.state.value;
  const title = useRef<HTMLHeadingElement>(null);
  if (proposals.length === 0) return null;
  return (
    <section class="panel-part" aria-labelledby="proposals-title" data-testid="proposals">
      <h2 id="proposals-title" class="panel-title" tabIndex={-1} ref={title}>
        Proposed changes <span class="count">{proposals.length}</span>
      </h2>
      <ul class="list">
        {proposals.map((proposal) => (
          <Entry key={proposal.id} page={page} proposal={proposal} onDone={() => title.current?.focus()} />
        ))}
      </ul>
    </section>
  );
}

interface EntryProps {
  readonly page: Page;
  readonly proposal: Proposal;
  readonly onDone: () => void;
}

function Entry({ page, proposal, onDone }: EntryProps) {
  const { id, agentId, reason, createdAtMs, check } = proposal;
  return (
    <li class="entry" data-testid="proposal" data-id={id}>
      <p class="entry-title">{agentId} proposes a change of the configuration</p>
      <p class="row-more">
        <Age atMs={createdAtMs} nowMs={page.nowMs} /> ago
      </p>
      <blockquote class="kept">{reason}</blockquote>
      {check === undefined && <p class="row-more">What it would change is shown when those before it are decided.</p>}
      {check !== undefined && (
        <>
          <Issues issues={check.issues} />
          <Changes check={check} />
          {check.valid && check.changes.length === 0 && <p class="row-more">The file says so already.</p>}
        </>
      )}
      {page.view.isAdmin.value ? (
        <Decision page={page} proposal={proposal} onDone={onDone} />
      ) : (
        <p class="row-more">An operator with operator.admin decides.</p>
      )}
    </li>
  );
}

function Decision({ page, proposal, onDone }: EntryProps) {
  const { id, agentId, check } = proposal;
  const isBusy = page.view.busy.value.has(id) || page.view.connection.value.type !== "ready";
  const about = `the change that ${agentId} proposes, ${id}`;
  const apply = (): void => {
    onDone();
    page.proposals.apply(proposal);
  };
  const disabled = isBusy || check?.valid !== true;
  return (
    <div class="entry-actions" role="group" aria-label={`Decide about ${about}`}>
      {check?.guarded === undefined ? (
        <button
          type="button"
          class="button"
          data-testid="proposal-apply"
          aria-label={`Apply ${about}`}
          disabled={disabled}
          onClick={apply}
        >
          Apply
        </button>
      ) : (
        <AskTwice
          words="Apply"
          question="Apply all the same?"
          label={`Apply ${about}`}
          labelAsking={`Apply all the same? ${check.guarded}`}
          testId="proposal-apply"
          disabled={disabled}
          onConfirm={apply}
        />
      )}
      <button
        type="button"
        class="button quiet"
        data-testid="proposal-reject"
        aria-label={`Reject ${about}`}
        disabled={isBusy}
        onClick={() => {
          onDone();
          page.proposals.reject(id);
        }}
      >
        Reject
      </button>
    </div>
  );
}
