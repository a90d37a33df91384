/** Shown when the gateway said no: its words, and a field for the key. */
import { useSignal } from "@preact/signals";
import type { Page } from "../page.ts";
import type { WireError } from "../wire.ts";
import { Icon } from "./icons.tsx";

export function SignIn({ page, error }: { readonly page: Page; readonly error: WireError }) {
  const pasted = useSignal("");
  const code = error.detailCode ?? error.code;
  const isWaiting = code === "PAIRING_REQUIRED";
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    page.signIn(pasted.value);
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={onSubmit} data-testid="sign-in">
        <p class="brand">
          <Icon name="arches" /> Cloister
        </p>
        <h1>{isWaiting ? "This browser waits for an approval" : "The gateway wants a key"}</h1>
        <p>
          {isWaiting ? "Once it is approved, try again. Or paste" : "Paste"} the operator key, or run{" "}
          <code>cloister dashboard</code> for a link.
        </p>
        <p class="server-error" role="alert">
          {error.message} <span class="mono">{code}</span>
        </p>
        <label for="key">Operator key, link or token</label>
        <input
          id="key"
          data-testid="key"
          type="password"
          autocomplete="off"
          spellcheck={false}
          autofocus
          value={pasted.value}
          onInput={(event) => {
            pasted.value = event.currentTarget.value;
          }}
        />
        <div class="card-actions">
          <button type="submit" class="button primary" disabled={pasted.value.trim() === ""}>
            Connect
          </button>
          <button type="button" class="button quiet" data-testid="try-again" onClick={page.start}>
            <Icon name="retry" /> Try again without a new key
          </button>
        </div>
        <p class="fine-print">The key stays in this browser and is sent only to this gateway.</p>
      </form>
    </main>
  );
}
