/** The gateway's log: its end, as it grows, from a level on and with a text in it. */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { chosenRecords, type LogRecord, logLevels } from "../desks/log.ts";
import type { Page } from "../page.ts";

/** Rows in the page; older ones are in the file. */
const rowsMax = 500;

export function LogView({ page }: { readonly page: Page }) {
  const { state, look, follow, choose, clear } = page.log;
  const { isFollowing, level, filter, note } = state.value;
  const chosen = chosenRecords(state.value);
  const frame = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    look(true);
    return () => look(false);
  }, []);
  useLayoutEffect(() => {
    if (isAtEnd.current) frame.current?.scrollTo({ top: frame.current.scrollHeight });
  }, [chosen.length, chosen.at(-1)?.id]);
  return (
    <>
      <div class="desk-head">
        <h1 id="place-title" tabIndex={-1}>
          Log of the gateway
        </h1>
        <div class="desk-tools">
          <label>
            From level{" "}
            <select
              data-testid="log-level"
              value={level}
              onChange={({ currentTarget }) => choose({ level: currentTarget.value })}
            >
              {logLevels.map((one) => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          </label>
          <label>
            With{" "}
            <input
              type="search"
              data-testid="log-filter"
              placeholder="text"
              value={filter}
              onInput={({ currentTarget }) => choose({ filter: currentTarget.value })}
            />
          </label>
          <button
            type="button"
            class="button"
            data-testid="log-follow"
            aria-pressed={isFollowing}
            onClick={() => follow(!isFollowing)}
          >
            {isFollowing ? "Following" : "Follow"}
          </button>
          <button type="button" class="button" onClick={clear}>
            Clear
          </button>
        </div>
      </div>
      <p role="status" class={note === undefined ? "hidden-label" : "desk-note"} data-testid="log-note">
        {note}
      </p>
      <div
        class="log-lines"
        role="log"
        aria-live="off"
        aria-label="Records of the log, oldest first"
        data-testid="log-lines"
        tabIndex={0}
        ref={frame}
        onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
          isAtEnd.current = scrollTop + clientHeight >= scrollHeight - 8;
        }}
      >
        {chosen.length > rowsMax && <p class="empty">and {chosen.length - rowsMax} older ones</p>}
        {chosen.length === 0 && <p class="empty">No record fits.</p>}
        {chosen.slice(-rowsMax).map((record) => (
          <Row key={record.id} record={record} />
        ))}
      </div>
    </>
  );
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function Row({ record: { time, level, message, about } }: { readonly record: LogRecord }) {
  const atMs = Date.parse(time);
  return (
    <p class="log-line" data-testid="log-line" data-level={level}>
      <time dateTime={time} title={time}>
        {Number.isNaN(atMs) ? "" : clock.format(atMs)}
      </time>{" "}
      <span class="log-level">{level}</span> <span class="log-message">{message}</span>{" "}
      {about !== "" && <span class="log-about">{about}</span>}
    </p>
  );
}
