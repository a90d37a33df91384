/** Right, last: the audit trail. It is read when it is opened; a filter, further rows, and whether it is what was written. */
import type { Page } from "../page.ts";
import type { AuditEntry, AuditVerdict } from "../wire-audit.ts";
import { Time } from "./times.tsx";

/** First words of types (`audit.list`), as people call them. */
const kinds = [
  ["message", "messages"],
  ["refused", "refusals"],
  ["grant", "rights"],
  ["device", "devices"],
  ["sender", "senders"],
  ["config", "configuration"],
  ["order", "orders to agents"],
  ["auth", "wrong credentials"],
  ["access", "denied methods"],
] as const;

export function AuditPanel({ page }: { readonly page: Page }) {
  const { filter, isShown, rows, cursor, isVerifying, verdict } = page.view.audit.value;
  const isOff = page.view.connection.value.type !== "ready";
  return (
    <section class="panel-part" aria-labelledby="audit-title" data-testid="audit">
      <h2 id="audit-title" class="panel-title">
        Audit trail
      </h2>
      <p class="panel-actions">
        <button
          type="button"
          class="button"
          data-testid="audit-show"
          disabled={isOff}
          onClick={() => page.audit.show({ ...filter })}
        >
          {isShown ? "Read again" : "Show"}
        </button>
        <button
          type="button"
          class="button"
          data-testid="audit-verify"
          disabled={isOff || isVerifying}
          onClick={page.audit.verify}
        >
          Check it
        </button>
      </p>
      <div role="status">{verdict !== undefined && <Verdict verdict={verdict} />}</div>
      {isShown && (
        <>
          <p class="entry-details">
            <label>
              Of agent{" "}
              <select
                data-testid="audit-agent"
                value={filter.agentId ?? ""}
                onChange={({ currentTarget: { value } }) => page.audit.show(withPart(filter, "agentId", value))}
              >
                <option value="">all</option>
                {page.view.agents.value.map(({ agentId }) => (
                  <option key={agentId} value={agentId}>
                    {agentId}
                  </option>
                ))}
              </select>
            </label>{" "}
            <label>
              about{" "}
              <select
                data-testid="audit-kind"
                value={filter.kind ?? ""}
                onChange={({ currentTarget: { value } }) => page.audit.show(withPart(filter, "kind", value))}
              >
                <option value="">everything</option>
                {kinds.map(([kind, words]) => (
                  <option key={kind} value={kind}>
                    {words}
                  </option>
                ))}
              </select>
            </label>
          </p>
          {rows.length === 0 && <p class="empty">There is no such row.</p>}
          <ul class="list">
            {rows.map((row) => (
              <Row key={row.id} row={row} />
            ))}
          </ul>
          {cursor !== undefined && (
            <button type="button" class="button" data-testid="audit-more" disabled={isOff} onClick={page.audit.more}>
              Older ones
            </button>
          )}
        </>
      )}
    </section>
  );
}

const withPart = (filter: object, name: "agentId" | "kind", value: string): object => {
  const rest = Object.fromEntries(Object.entries(filter).filter(([part]) => part !== name));
  return value === "" ? rest : { ...rest, [name]: value };
};

function Row({ row }: { readonly row: AuditEntry }) {
  const { id, atMs, type, decision, subject, object, verb, code, detail } = row;
  return (
    <li class="entry" data-testid="audit-row" data-type={type}>
      <span class="row-line">
        <span class="row-name" title={id}>
          {type}
        </span>
        <span class="row-time">
          <Time atMs={atMs} />
        </span>
      </span>
      <span class="entry-text">
        {subject} → {object}
        {verb === undefined ? "" : ` (${verb})`}
      </span>
      {decision === "refused" && <span class="row-reason">refused: {code ?? "no code"}</span>}
      {detail !== undefined && <span class="entry-text">{detail}</span>}
    </li>
  );
}

function Verdict({ verdict: { ok, rows, faults } }: { readonly verdict: AuditVerdict }) {
  if (ok) return <p data-testid="audit-verdict">Each of {rows} rows is what was written.</p>;
  return (
    <>
      <p class="row-reason" data-testid="audit-verdict">
        The trail was changed:
      </p>
      <ul class="list">
        {faults.map((fault) => (
          <li key={fault} class="entry-text">
            {fault}
          </li>
        ))}
      </ul>
    </>
  );
}
