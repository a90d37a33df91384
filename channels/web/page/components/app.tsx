/**
 * The frame: three columns on a wide screen, the outer two as drawers on a small one.
 *
 * The widths are those of `styles/frame.css`. A drawer is modal while it is open: the rest is inert, Escape closes it, and
 * the focus goes back to the button that opened it.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Place } from "../desks/desk.ts";
import type { Page } from "../page.ts";
import { AccessPanel } from "./access-panel.tsx";
import { AuditPanel } from "./audit-panel.tsx";
import { AgentsPanel } from "./agents-panel.tsx";
import { ChannelsView } from "./channels-view.tsx";
import { CommandsPanel } from "./commands-panel.tsx";
import { Composer } from "./composer.tsx";
import { ConfigView } from "./config-view.tsx";
import { ConversationHead, Log } from "./conversation-view.tsx";
import { FlowPanel } from "./flow-panel.tsx";
import { Icon } from "./icons.tsx";
import { LogView } from "./log-view.tsx";
import { ProposalsPanel } from "./proposals-panel.tsx";
import { RequestsPanel } from "./requests-panel.tsx";
import { RightsView } from "./rights-view.tsx";
import { RoutesView } from "./routes-view.tsx";
import { SignIn } from "./sign-in.tsx";
import { type Drawer, TopBar } from "./top-bar.tsx";
import { RunsPanel, TasksPanel, TimersPanel } from "./work-panels.tsx";

/** From this width on the panel is a column and cannot be a drawer. */
const columnFrom = { agents: "(min-width: 48rem)", flows: "(min-width: 72rem)" } as const;

export function App({ page }: { readonly page: Page }) {
  const drawer = useSignal<Drawer>("none");
  const opener = useRef<HTMLElement>(null);
  const status = page.view.connection.value;

  const open = (which: Drawer): void => {
    opener.current = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    drawer.value = which;
  };
  const close = (): void => {
    if (drawer.peek() === "none") return;
    drawer.value = "none";
    // After the render, for an inert button takes no focus.
    requestAnimationFrame(() => opener.current?.focus());
  };

  useEffect(() => {
    const onKeyDown = ({ key }: KeyboardEvent): void => {
      if (key === "Escape") close();
    };
    document.addEventListener("keydown", onKeyDown);
    const ends = (["agents", "flows"] as const).map((which) => {
      const wide = matchMedia(columnFrom[which]);
      const onChange = (): void => {
        if (wide.matches && drawer.peek() === which) close();
      };
      wide.addEventListener("change", onChange);
      return () => wide.removeEventListener("change", onChange);
    });
    return () => {
      document.removeEventListener("keydown", onKeyDown);
      for (const end of ends) end();
    };
  }, []);

  useEffect(() => {
    if (drawer.value !== "none") document.querySelector<HTMLElement>(`#${drawer.value}-panel .closes`)?.focus();
  }, [drawer.value]);

  if (status.type === "refused") return <SignIn page={page} error={status.error} />;
  const isModal = drawer.value !== "none";
  const place = placeOf(page);
  return (
    <div class="frame" data-drawer={drawer.value} data-place={place}>
      <button
        type="button"
        class="skip-link"
        inert={isModal}
        onClick={() => document.getElementById(place === "chat" ? "composer" : "place-title")?.focus()}
      >
        {place === "chat" ? "Skip to the message field" : "Skip to the view"}
      </button>
      <div class="frame-top" inert={isModal}>
        <TopBar page={page} drawer={drawer.value} onDrawer={open} />
      </div>
      <aside id="agents-panel" class="panel" aria-label="Agents and sessions" inert={drawer.value === "flows"}>
        <CloseButton onClick={close} />
        <AgentsPanel page={page} onChosen={close} />
      </aside>
      <main class="middle" inert={isModal}>
        <Middle page={page} place={place} />
      </main>
      <aside
        id="flows-panel"
        class="panel"
        aria-label="Commands, requests, devices, asks, sub-agents, tasks and timers"
        inert={drawer.value === "agents"}
      >
        <CloseButton onClick={close} />
        <CommandsPanel page={page} />
        <RequestsPanel page={page} />
        <ProposalsPanel page={page} />
        <AccessPanel page={page} />
        <FlowPanel page={page} />
        <RunsPanel page={page} />
        <TasksPanel page={page} />
        <TimersPanel page={page} />
        <AuditPanel page={page} />
      </aside>
      {isModal && <div class="shade" onClick={close} />}
      <div class="hidden-label" role="status" aria-live="polite">
        {page.view.announcement.value}
      </div>
    </div>
  );
}

/** Who is no longer an administrator does not see what only one may. */
const placeOf = (page: Page): Place =>
  page.place.value === "config" && !page.view.isAdmin.value ? "chat" : page.place.value;

function Middle({ page, place }: { readonly page: Page; readonly place: Place }) {
  if (place === "rights") return <RightsView page={page} />;
  if (place === "routes") return <RoutesView page={page} />;
  if (place === "channels") return <ChannelsView page={page} />;
  if (place === "config") return <ConfigView page={page} />;
  if (place === "log") return <LogView page={page} />;
  return (
    <>
      <ConversationHead page={page} />
      <Log page={page} />
      <Composer page={page} />
    </>
  );
}

function CloseButton({ onClick }: { readonly onClick: () => void }) {
  return (
    <button type="button" class="button quiet closes" aria-label="Close the panel" onClick={onClick}>
      <Icon name="close" />
    </button>
  );
}
