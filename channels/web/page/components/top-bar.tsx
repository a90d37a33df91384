/** Top: the name, the connection, the theme, and on small screens what opens the two drawers. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { applyTheme, readTheme, type Theme } from "../browser.ts";
import type { ConnectionStatus } from "../client.ts";
import type { Page } from "../page.ts";
import { Icon } from "./icons.tsx";
import { Places } from "./places.tsx";

export type Drawer = "none" | "agents" | "flows";

interface TopBarProps {
  readonly page: Page;
  readonly drawer: Drawer;
  readonly onDrawer: (drawer: Drawer) => void;
}

export function TopBar({ page, drawer, onDrawer }: TopBarProps) {
  const openAsks = page.view.flows.value.open.length + page.view.flows.value.openBeyond;
  const requests = page.view.requests.value.length;
  const { devices, senders } = page.view.access.value;
  const proposals = page.proposals.state.value.length;
  const commands = page.commands.state.value.filter(({ isAllowed }) => !isAllowed).length;
  const waiting = commands + (page.view.isAdmin.value ? devices.length + senders.length + proposals : 0);
  return (
    <header class="top-bar">
      <button
        type="button"
        class="button quiet opens-agents"
        aria-expanded={drawer === "agents"}
        aria-controls="agents-panel"
        onClick={() => onDrawer("agents")}
      >
        <Icon name="agents" /> <span class="button-word">Agents</span>
      </button>
      <p class="brand">
        <Icon name="arches" /> Cloister
      </p>
      <Places page={page} />
      <Connection page={page} />
      <ThemeButton />
      <button
        type="button"
        class="button quiet opens-flows"
        aria-expanded={drawer === "flows"}
        aria-controls="flows-panel"
        onClick={() => onDrawer("flows")}
      >
        <Icon name="flows" /> <span class="button-word">Asks</span>
        {openAsks > 0 && <span class="count">{openAsks}</span>}
        {requests > 0 && (
          <span class="count wanted" data-testid="requests-count">
            {requests}
            <span class="hidden-label"> {requests === 1 ? "request for a right" : "requests for rights"}</span>
          </span>
        )}
        {waiting > 0 && (
          <span class="count wanted" data-testid="access-count">
            {waiting}
            <span class="hidden-label"> {waiting === 1 ? "waits" : "wait"} for an approval</span>
          </span>
        )}
      </button>
    </header>
  );
}

function Connection({ page }: { readonly page: Page }) {
  const status = page.view.connection.value;
  return (
    <div class="connection">
      <span role="status" data-testid="connection" data-state={status.type} title={connectionDetail(status)}>
        {connectionWords[status.type]}
      </span>
      {status.type === "waiting" && (
        <>
          <Countdown untilMs={status.retryAtMs} />
          <button type="button" class="button quiet" onClick={page.wake}>
            Try now
          </button>
        </>
      )}
    </div>
  );
}

const connectionWords: Readonly<Record<ConnectionStatus["type"], string>> = {
  ready: "Connected",
  connecting: "Connecting…",
  waiting: "Disconnected",
  refused: "Refused",
  stopped: "Not connected",
};

function connectionDetail(status: ConnectionStatus): string {
  if (status.type === "ready") return status.serverVersion === "" ? "" : `Gateway ${status.serverVersion}`;
  if (status.type === "waiting") return status.reason;
  return status.type === "refused" ? status.error.message : "";
}

/** Not part of the status, which would be read out every second. */
function Countdown({ untilMs }: { readonly untilMs: number }) {
  const nowMs = useSignal(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      nowMs.value = Date.now();
    }, 500);
    return () => clearInterval(timer);
  }, [nowMs]);
  return (
    <span class="countdown" aria-hidden="true">
      next try in {Math.max(0, Math.ceil((untilMs - nowMs.value) / 1_000))} s
    </span>
  );
}

const themeAfter = { system: "light", light: "dark", dark: "system" } as const satisfies Record<Theme, Theme>;
const themeIcon = { system: "system", light: "sun", dark: "moon" } as const;

function ThemeButton() {
  const theme = useSignal(readTheme());
  const turn = (): void => {
    theme.value = themeAfter[theme.value];
    applyTheme(theme.value);
  };
  const words = `Theme: ${theme.value}. Change to ${themeAfter[theme.value]}.`;
  return (
    <button type="button" class="button quiet" data-testid="theme" aria-label={words} title={words} onClick={turn}>
      <Icon name={themeIcon[theme.value]} />
    </button>
  );
}
