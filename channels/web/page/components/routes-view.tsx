/** The route tester: what a message would say of itself on the left, and which agent and session get it, with the reasons. */
import { useSignal } from "@preact/signals";
import { peerKinds, type RouteAnswer, type RouteFields } from "../desks/routes.ts";
import type { Page } from "../page.ts";

const empty: RouteFields = {
  channel: "webhook",
  accountId: "",
  peerKind: "direct",
  peerId: "",
  parentKind: "channel",
  parentId: "",
  guildId: "",
  teamId: "",
  roles: "",
  threadId: "",
};

export function RoutesView({ page }: { readonly page: Page }) {
  const fields = useSignal(empty);
  const { answer, error } = page.routes.state.value;
  const set = (name: keyof RouteFields, value: string): void => {
    fields.value = { ...fields.value, [name]: value };
  };
  const props = { fields: fields.value, set };
  return (
    <>
      <div class="desk-head">
        <h1 id="place-title" tabIndex={-1}>
          Which agent gets a message
        </h1>
      </div>
      <div class="desk-body two-sided">
        <form
          class="fields"
          data-testid="route-form"
          onSubmit={(event) => {
            event.preventDefault();
            page.routes.test(fields.value);
          }}
        >
          <Field {...props} name="channel" words="Channel" isRequired />
          <Field {...props} name="accountId" words="Account" hint="the channel's default" />
          <PeerField {...props} kind="peerKind" name="peerId" words="Peer" />
          <PeerField {...props} kind="parentKind" name="parentId" words="Parent of the thread" />
          <Field {...props} name="guildId" words="Guild" />
          <Field {...props} name="roles" words="Roles of the sender" hint="with commas between them" />
          <Field {...props} name="teamId" words="Team" />
          <Field {...props} name="threadId" words="Thread" />
          <button type="submit" class="button primary" disabled={page.view.connection.value.type !== "ready"}>
            Find the agent
          </button>
        </form>
        <div aria-live="polite" data-testid="route-answer">
          {error !== undefined && <p class="row-reason">{error}</p>}
          {answer === undefined && error === undefined && (
            <p class="empty">No message is sent. The answer comes from the function that routes messages.</p>
          )}
          {answer !== undefined && <Answer answer={answer} />}
        </div>
      </div>
    </>
  );
}

interface FieldProps {
  readonly fields: RouteFields;
  readonly set: (name: keyof RouteFields, value: string) => void;
  readonly name: keyof RouteFields;
  readonly words: string;
  readonly hint?: string;
  readonly isRequired?: boolean;
}

function Field({ fields, set, name, words, hint = "", isRequired = false }: FieldProps) {
  return (
    <p class="field">
      <label for={`route-${name}`}>{words}</label>
      <input
        id={`route-${name}`}
        data-testid={`route-${name}`}
        autocomplete="off"
        spellcheck={false}
        placeholder={hint}
        required={isRequired}
        value={fields[name]}
        onInput={({ currentTarget }) => set(name, currentTarget.value)}
      />
    </p>
  );
}

function PeerField({ kind, ...props }: FieldProps & { readonly kind: "peerKind" | "parentKind" }) {
  return (
    <div class="field-pair">
      <p class="field">
        <label for={`route-${kind}`}>Kind</label>
        <select
          id={`route-${kind}`}
          data-testid={`route-${kind}`}
          aria-label={`${props.words}: kind`}
          value={props.fields[kind]}
          onChange={({ currentTarget }) => props.set(kind, currentTarget.value)}
        >
          {peerKinds.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </p>
      <Field {...props} hint="its id" />
    </div>
  );
}

/** Bindings of a channel may be many. */
const lossesShown = 100;

function Answer({ answer }: { readonly answer: RouteAnswer }) {
  const { asked, agentId, sessionKey, matchedBy, winner, bindingIndex, tiers, losses } = answer;
  return (
    <>
      <dl class="facts">
        <dt>Agent</dt>
        <dd data-testid="route-agent">{agentId}</dd>
        <dt>Session</dt>
        <dd class="mono" data-testid="route-session">
          {sessionKey}
        </dd>
        <dt>Decided by</dt>
        <dd data-testid="route-winner">
          {winner === undefined
            ? "no binding fits: the default agent answers"
            : `bindings[${bindingIndex ?? 0}] (${winner}), tier ${matchedBy}`}
        </dd>
        <dt>Asked</dt>
        <dd>{asked}</dd>
      </dl>
      <h2 class="panel-title">Tiers, in the order in which they are tried</h2>
      <ol class="list tiers">
        {tiers.map(({ tier, outcome, bindings }) => (
          <li key={tier} class="tier" data-testid="route-tier" data-tier={tier} data-outcome={outcome}>
            <span class="mono">{tier}</span>
            <span>
              {tierWords.get(outcome) ?? outcome}
              {bindings > 0 && ` (${bindings} ${bindings === 1 ? "binding" : "bindings"})`}
            </span>
          </li>
        ))}
      </ol>
      <h2 class="panel-title">
        Other bindings of the channel <span class="count">{losses.length}</span>
      </h2>
      <ul class="list">
        {losses.slice(0, lossesShown).map((loss) => (
          <li key={loss.bindingIndex} class="entry" data-testid="route-loss">
            <p class="entry-title">
              bindings[{loss.bindingIndex}] → {loss.agentId}: {loss.reason}
            </p>
            <p class="row-more">{loss.match}</p>
          </li>
        ))}
      </ul>
      {losses.length > lossesShown && <p class="empty">and {losses.length - lossesShown} more</p>}
    </>
  );
}

const tierWords: ReadonlyMap<string, string> = new Map([
  ["matched", "decided"],
  ["none fits", "looked at, none fits"],
  ["no binding", "no binding here"],
  ["nothing to match", "the message does not say what this tier looks at"],
  ["not reached", "not reached"],
]);
