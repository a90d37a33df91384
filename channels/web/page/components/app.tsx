/**
 * The frame: three columns on a wide screen, the outer two as drawers on a small one.
 *
 * The widths are those of `styles/frame.css`. A drawer is modal while it is open: the rest is inert, Escape closes it, and
 * the focus goes back to the button that opened it.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import { AccessPanel } from "./access-panel.tsx";
import { AuditPanel } from "./audit-panel.tsx";
import { AgentsPanel } from "./agents-panel.tsx";
import { Composer } from "./composer.tsx";
import { ConversationHead, Log } from "./conversation-view.tsx";
import { FlowPanel } from "./flow-panel.tsx";
import { Icon } from "./icons.tsx";
import { RequestsPanel } from "./requests-panel.tsx";
import { SignIn } from "./sign-in.tsx";
import { type Drawer, TopBar } from "./top-bar.tsx";
import { RunsPanel, TimersPanel } from "./work-panels.tsx";

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
  return (
    <div class="frame" data-drawer={drawer.value}>
      <button
        type="button"
        class="skip-link"
        inert={isModal}
        onClick={() => document.getElementById("composer")?.focus()}
      >
        Skip to the message field
      </button>
      <div class="frame-top" inert={isModal}>
        <TopBar page={page} drawer={drawer.value} onDrawer={open} />
      </div>
      <aside id="agents-panel" class="panel" aria-label="Agents and sessions" inert={drawer.value === "flows"}>
        <CloseButton onClick={close} />
        <AgentsPanel page={page} onChosen={close} />
      </aside>
      <main class="middle" inert={isModal}>
        <ConversationHead page={page} />
        <Log page={page} />
        <Composer page={page} />
      </main>
      <aside
        id="flows-panel"
        class="panel"
        aria-label="Requests, devices, asks, sub-agents and timers"
        inert={drawer.value === "agents"}
      >
        <CloseButton onClick={close} />
        <RequestsPanel page={page} />
        <AccessPanel page={page} />
        <FlowPanel page={page} />
        <RunsPanel page={page} />
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

function CloseButton({ onClick }: { readonly onClick: () => void }) {
  return (
    <button type="button" class="button quiet closes" aria-label="Close the panel" onClick={onClick}>
      <Icon name="close" />
    </button>
  );
}
