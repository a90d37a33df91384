/**
 * Who may reach whom: a grid of agents by agents, and what decides about the pair that was chosen. The grid is one stop of the Tab
 * key; arrows, Home, End, Page Up and Page Down go about in it, Enter and the space bar explain.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Matrix, type Pair, type VerbReason, verbsOf } from "../desks/rights.ts";
import type { Page } from "../page.ts";

export function RightsView({ page }: { readonly page: Page }) {
  const { matrix, filter, pair, reasons, error } = page.rights.state.value;
  const verb = useSignal("");
  useEffect(page.rights.readAgain, []);
  return (
    <>
      <div class="desk-head">
        <h1 id="place-title" tabIndex={-1}>
          Who may reach whom
        </h1>
        <div class="desk-tools">
          <label>
            Agents{" "}
            <input
              type="search"
              data-testid="rights-filter"
              placeholder="part of the id"
              value={filter}
              onInput={({ currentTarget }) => page.rights.show(currentTarget.value)}
            />
          </label>
          <label>
            Right{" "}
            <select
              data-testid="rights-verb"
              value={verb.value}
              onChange={({ currentTarget }) => {
                verb.value = currentTarget.value;
              }}
            >
              <option value="">any</option>
              {(matrix?.verbs ?? []).map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
          <button type="button" class="button" onClick={page.rights.readAgain}>
            Read again
          </button>
        </div>
      </div>
      <div class="desk-body">
        {error !== undefined && (
          <p class="row-reason" role="alert">
            {error}
          </p>
        )}
        {matrix !== undefined && <Grid page={page} matrix={matrix} verb={verb.value} pair={pair} />}
        <div aria-live="polite" data-testid="rights-explanation">
          {pair !== undefined && <Explanation pair={pair} reasons={reasons} />}
        </div>
      </div>
    </>
  );
}

interface GridProps {
  readonly page: Page;
  readonly matrix: Matrix;
  /** Empty: any. */
  readonly verb: string;
  readonly pair: Pair | undefined;
}

const pageRows = 10;

function Grid({ page, matrix, verb, pair }: GridProps) {
  const { agents, total } = matrix;
  const grid = useRef<HTMLTableElement>(null);
  // Which cell the Tab key leads to is not rendered: to go from cell to cell draws nothing anew.
  useLayoutEffect(() => {
    if (grid.current?.querySelector('td[tabindex="0"]') === null)
      grid.current.querySelector("td[data-at]")?.setAttribute("tabindex", "0");
  });
  if (agents.length === 0) return <p class="empty">No agent has this in its id.</p>;

  const withinGrid = (place: number): number => Math.max(0, Math.min(agents.length - 1, place));
  const moveTo = (row: number, column: number): void => {
    const cell = grid.current?.querySelector<HTMLElement>(`td[data-at="${withinGrid(row)},${withinGrid(column)}"]`);
    if (cell === null || cell === undefined) return;
    for (const old of grid.current?.querySelectorAll('td[tabindex="0"]') ?? []) old.setAttribute("tabindex", "-1");
    cell.setAttribute("tabindex", "0");
    cell.focus();
  };
  const choose = (cell: Element): void => {
    const [row = 0, column = 0] = placeOf(cell);
    moveTo(row, column);
    const [from, to] = [agents[row], agents[column]];
    if (from !== undefined && to !== undefined && from !== to) page.rights.explain({ from, to });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const cell = cellOf(event.target);
    if (cell === undefined || event.altKey || event.metaKey) return;
    const [row = 0, column = 0] = placeOf(cell);
    const last = agents.length - 1;
    const targets: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      PageUp: [row - pageRows, column],
      PageDown: [row + pageRows, column],
      Home: [event.ctrlKey ? 0 : row, 0],
      End: [event.ctrlKey ? last : row, last],
    };
    const target = targets[event.key];
    if (target !== undefined) moveTo(...target);
    else if (event.key === "Enter" || event.key === " ") choose(cell);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <p class="fine-print" id="matrix-help">
        From the agent of the row to that of the column. Choose a cell to see what decides
        {agents.length < total && `; ${agents.length} of ${total} agents are shown`}.
      </p>
      <div class="matrix-frame">
        <table
          role="grid"
          class="matrix"
          data-testid="matrix"
          aria-label="Rights between agents"
          aria-describedby="matrix-help"
          aria-readonly="true"
          ref={grid}
          onKeyDown={onKeyDown}
          onClick={({ target }) => {
            const cell = cellOf(target);
            if (cell !== undefined) choose(cell);
          }}
        >
          <thead>
            <tr>
              <td class="corner" role="presentation">
                from ↓ to →
              </td>
              {agents.map((id) => (
                <th key={id} scope="col" title={id} data-chosen={pair?.to === id}>
                  <span>{id}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {agents.map((from, row) => (
              <tr key={from}>
                <th scope="row" title={from} data-chosen={pair?.from === from}>
                  {from}
                </th>
                {agents.map((to, column) => (
                  <Cell
                    key={to}
                    matrix={matrix}
                    row={row}
                    column={column}
                    verb={verb}
                    isChosen={pair?.from === from && pair.to === to}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

interface CellProps {
  readonly matrix: Matrix;
  readonly row: number;
  readonly column: number;
  readonly verb: string;
  readonly isChosen: boolean;
}

function Cell({ matrix, row, column, verb, isChosen }: CellProps) {
  const [from, to] = [matrix.agents[row], matrix.agents[column]];
  const place = { "data-at": `${row},${column}`, tabIndex: -1 };
  if (row === column) return <td {...place} role="gridcell" data-verbs="self" aria-label={`${from ?? ""}, itself`} />;
  const verbs = verbsOf(matrix, row, column);
  const shown = verb === "" ? verbs : verbs.filter((one) => one === verb);
  const words = shown.length === 0 ? (verb === "" ? "nothing" : `no ${verb}`) : shown.join(", ");
  const share = shown.length === 0 ? "none" : verb !== "" || shown.length === matrix.verbs.length ? "all" : "some";
  return (
    <td
      {...place}
      role="gridcell"
      data-verbs={share}
      aria-selected={isChosen}
      aria-label={`${from ?? ""} to ${to ?? ""}: ${words}`}
      title={`${from ?? ""} → ${to ?? ""}: ${words}`}
      data-mark={shown.length === 0 ? "·" : verb === "" ? shown.length : "✓"}
    />
  );
}

function cellOf(target: EventTarget | null): HTMLElement | undefined {
  return (target instanceof HTMLElement ? target.closest<HTMLElement>("td[data-at]") : null) ?? undefined;
}

const placeOf = (cell: Element): readonly number[] => (cell.getAttribute("data-at") ?? "").split(",").map(Number);

function Explanation({ pair, reasons }: { readonly pair: Pair; readonly reasons: readonly VerbReason[] }) {
  return (
    <section class="explanation" aria-labelledby="pair-title">
      <h2 id="pair-title" class="panel-title">
        {pair.from} → {pair.to}
      </h2>
      <ul class="list">
        {reasons.map((reason) => (
          <Reason key={reason.verb} reason={reason} />
        ))}
      </ul>
    </section>
  );
}

function Reason({ reason: { verb, allowed, rule, message, config, command } }: { readonly reason: VerbReason }) {
  return (
    <li class="entry" data-testid="rights-reason" data-verb={verb} data-allowed={allowed}>
      <p class="entry-title">
        {verb}: <span class={allowed ? "allowed" : "refused"}>{allowed ? "allowed" : "refused"}</span>{" "}
        <span class="row-more">
          by <span class="mono">{rule}</span>
        </span>
      </p>
      {!allowed && <p class="row-more">{message}</p>}
      {!allowed && config !== undefined && (
        <p class="row-more">
          The line that would allow it: <code>{config}</code>
        </p>
      )}
      {command !== undefined && (
        <p class="row-more">
          {allowed ? "To take it back: " : "For a while, or without a change of the config: "}
          <code>cloister {command}</code>
        </p>
      )}
    </li>
  );
}
