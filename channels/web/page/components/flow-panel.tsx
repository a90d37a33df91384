/** Right: who is asking whom. The drawing shows it at a glance; the lists below say the same in words. */
import { diagramSize, drawFlows, nodeRadius } from "../flows.ts";
import type { Page } from "../page.ts";
import { formatDuration, Time } from "./times.tsx";

const outcomes = { ok: "answered", timeout: "timed out", error: "failed" } as const;

export function FlowPanel({ page }: { readonly page: Page }) {
  const { open, openBeyond, done } = page.view.flows.value;
  return (
    <section class="panel-part" aria-labelledby="flows-title">
      <h2 id="flows-title" class="panel-title">
        Who is asking whom
      </h2>
      <FlowDiagram page={page} />
      <h3 class="panel-subtitle">
        Open <span class="count">{open.length + openBeyond}</span>
      </h3>
      {open.length === 0 && <p class="empty">No agent waits for another.</p>}
      <ul class="list flows">
        {open.map((flow) => (
          <li key={flow.id} class="flow" data-testid="flow-open" data-state="open">
            <FlowPair from={flow.fromAgent} to={flow.toAgent} />
            <span class="flow-more">
              since <Time atMs={flow.atMs} />
            </span>
          </li>
        ))}
      </ul>
      {openBeyond > 0 && <p class="empty">and {openBeyond} more, which are not listed</p>}
      <h3 class="panel-subtitle">Finished</h3>
      {done.length === 0 && <p class="empty">Ask one agent to ask another, and the answer is listed here.</p>}
      <ul class="list flows">
        {done.map(({ flow, durationMs }) => (
          <li key={flow.id} class="flow" data-testid="flow-done" data-state={flow.state}>
            <FlowPair from={flow.fromAgent} to={flow.toAgent} />
            <span class="flow-more">
              <span class="outcome">{flow.state === "open" ? "" : outcomes[flow.state]}</span>
              {durationMs === undefined ? <Time atMs={flow.atMs} /> : <span>{formatDuration(durationMs)}</span>}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function FlowPair({ from, to }: { readonly from: string; readonly to: string }) {
  return (
    <span class="flow-pair">
      <span>{from}</span>
      <span class="flow-arrow" aria-hidden="true">
        →
      </span>
      <span class="hidden-label">asks</span>
      <span>{to}</span>
    </span>
  );
}

function FlowDiagram({ page }: { readonly page: Page }) {
  const flows = page.view.flows.value;
  const { nodes, arrows, hidden } = drawFlows(
    flows,
    page.view.agents.value.map((agent) => agent.agentId),
  );
  if (nodes.length === 0) return null;
  const { width, height } = diagramSize;
  const busy = new Set(arrows.flatMap(({ from, to }) => [from.agentId, to.agentId]));
  return (
    <figure class="diagram">
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label="Drawing of the asks listed below">
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" markerHeight="6" orient="auto">
            <path class="arrow-tip" d="M0 0 8 4 0 8z" />
          </marker>
        </defs>
        {arrows.map((arrow) => (
          <path
            key={`${arrow.from.agentId}>${arrow.to.agentId}`}
            class="arrow"
            d={arrow.path}
            stroke-width={Math.min(1.5 + arrow.count / 2, 4)}
            marker-end="url(#tip)"
          />
        ))}
        {nodes.map(({ agentId, x, y }) => (
          <g key={agentId} class={busy.has(agentId) ? "node busy" : "node"}>
            <circle cx={x} cy={y} r={nodeRadius} />
            <text class="node-initial" x={x} y={y + 5}>
              {agentId.slice(0, 2)}
            </text>
            <text class="node-label" x={x} y={y + nodeRadius + 14}>
              {agentId.length > 14 ? `${agentId.slice(0, 13)}…` : agentId}
            </text>
          </g>
        ))}
      </svg>
      {hidden > 0 && <figcaption>and {hidden} more, listed below</figcaption>}
    </figure>
  );
}
