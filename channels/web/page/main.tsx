/** Starts the page: takes the key out of the address, opens the connection, draws. */
import { render } from "preact";
import { applyTheme, memory, newId, onFrame, openSocket, readTheme, takeKeyFromAddress, timers } from "./browser.ts";
import { App } from "./components/app.tsx";
import { proveDevice } from "./device-key.ts";
import { openPage } from "./page.ts";

/** Put in by the build (`scripts/build-page.ts`). */
declare const CLOISTER_VERSION: string;

takeKeyFromAddress();
applyTheme(readTheme());

const page = openPage({
  openSocket,
  proveDevice,
  timers,
  memory,
  newId,
  onFrame,
  random: Math.random,
  version: CLOISTER_VERSION,
});

// A new link opened in this tab changes the fragment only, and loads nothing.
addEventListener("hashchange", () => {
  if (takeKeyFromAddress()) page.start();
});
addEventListener("online", page.wake);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) page.wake();
});

const root = document.getElementById("page");
if (root !== null) render(<App page={page} />, root);
page.start();
