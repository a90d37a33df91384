/** The channels with their accounts, and the login of one by a code that the person's phone scans. */
import { useEffect, useRef } from "preact/hooks";
import { accountKey, type ChannelAccount, type ChannelEntry, type Login } from "../desks/channels.ts";
import type { Page } from "../page.ts";
import { AskTwice } from "./ask-twice.tsx";
import { QrCode } from "./qr-code.tsx";
import { Time } from "./times.tsx";

export function ChannelsView({ page }: { readonly page: Page }) {
  const { state, look } = page.channels;
  const { channels, login, error } = state.value;
  useEffect(() => {
    look(true);
    return () => look(false);
  }, []);
  return (
    <>
      <div class="desk-head">
        <h1 id="place-title" tabIndex={-1}>
          Channels
        </h1>
      </div>
      {error !== undefined && (
        <p role="status" class="desk-note">
          {error}
        </p>
      )}
      <div class="desk-body">
        <div class="hidden-label" role="status" aria-live="polite">
          {login === undefined ? "" : loginWords(login)}
        </div>
        {channels?.length === 0 && (
          <p class="empty">
            No channel is configured: <code>cloister channels login --channel …</code>
          </p>
        )}
        {channels?.map((entry) => (
          <Channel key={entry.channel} page={page} entry={entry} login={login} />
        ))}
      </div>
    </>
  );
}

interface ChannelProps {
  readonly page: Page;
  readonly entry: ChannelEntry;
  readonly login: Login | undefined;
}

function Channel({ page, entry, login }: ChannelProps) {
  const { channel, accounts, linksByCode } = entry;
  return (
    <section aria-labelledby={`channel-${channel}`} data-testid="channel" data-channel={channel}>
      <h2 id={`channel-${channel}`} class="panel-title">
        {channel}
      </h2>
      {troubles(entry).map((words) => (
        <p key={words} class="row-more">
          {words}
        </p>
      ))}
      <ul class="list">
        {accounts.map((account) => (
          <Account
            key={account.accountId}
            page={page}
            account={account}
            linksByCode={linksByCode}
            login={login !== undefined && accountKey(login) === accountKey(account) ? login : undefined}
          />
        ))}
      </ul>
    </section>
  );
}

const stateWords = {
  connected: "connected",
  linking: "waits for its code to be scanned",
  connecting: "not connected at the moment",
  failed: "not connected",
} as const satisfies Record<ChannelAccount["state"], string>;

interface AccountProps {
  readonly page: Page;
  readonly account: ChannelAccount;
  readonly linksByCode: boolean;
  readonly login: Login | undefined;
}

function Account({ page, account, linksByCode, login }: AccountProps) {
  const { accountId, state, name, error, remedy } = account;
  const title = useRef<HTMLParagraphElement>(null);
  const key = accountKey(account);
  const disabled = page.view.busy.value.has(key) || page.view.connection.value.type !== "ready";
  // What it was before somebody asked for a code is over.
  const isTroubled = state !== "connected" && (login === undefined || login.status === "failed");
  const toTitle = (): void => title.current?.focus();
  return (
    <li class="entry" data-testid="channel-account" data-id={accountId} data-state={state}>
      <p class="entry-title" tabIndex={-1} ref={title}>
        {accountId}
        {name !== undefined && <span class="row-more"> as {name}</span>}
      </p>
      <p class={isTroubled && state !== "linking" ? "row-reason" : "row-more"}>
        {stateWords[state]}
        {error !== undefined && isTroubled && `: ${error}`}
      </p>
      {remedy !== undefined && isTroubled && <p class="row-more">What to do: {remedy}</p>}
      {login !== undefined && <LoginPart login={login} />}
      {linksByCode && page.view.isAdmin.value && (
        <div class="entry-actions" role="group" aria-label={`Login of ${key}`}>
          {isTroubled && (
            <button
              type="button"
              class="button"
              data-testid="channel-login"
              aria-label={`Log in ${key}`}
              disabled={disabled}
              onClick={() => {
                toTitle();
                page.channels.logIn(account);
              }}
            >
              Log in
            </button>
          )}
          {login !== undefined && (
            <button
              type="button"
              class="button quiet"
              data-testid="channel-login-leave"
              aria-label={login.status === "code" ? `Hide the code of ${key}` : `Close the login of ${key}`}
              onClick={() => {
                toTitle();
                page.channels.leaveLogin();
              }}
            >
              {login.status === "code" ? "Hide the code" : "Close"}
            </button>
          )}
          {state === "connected" && (
            <AskTwice
              words="Log out"
              question="Log out?"
              label={`Log out ${key}`}
              labelAsking={`Log out? ${key} is heard again only after another login`}
              testId="channel-logout"
              disabled={disabled}
              onConfirm={() => {
                toTitle();
                page.channels.logOut(account);
              }}
            />
          )}
        </div>
      )}
    </li>
  );
}

function LoginPart({ login }: { readonly login: Login }) {
  const { status, code, remedy } = login;
  return (
    <div class="login" data-testid="login" data-status={status}>
      <p class={status === "failed" ? "row-reason" : "row-more"}>{loginWords(login)}</p>
      {status === "failed" && remedy !== undefined && <p class="row-more">What to do: {remedy}</p>}
      {status === "code" && code !== undefined && (
        <>
          <QrCode text={code.text} label={`Code that links ${accountKey(login)}, for the camera of its phone`} />
          <p class="row-more">
            It holds until <Time atMs={code.expiresAtMs} />; then another one follows.
          </p>
        </>
      )}
    </div>
  );
}

/** Also for who does not see the code. */
function loginWords({ status, name, reason, channel, accountId }: Login): string {
  if (status === "connecting") return "A code is fetched.";
  if (status === "code")
    return "Scan the code with the app of the account's phone: Settings, Linked devices, Link a device. Whoever scans it has the account.";
  if (status === "linked") return `${channel}/${accountId} is connected${name === undefined ? "" : ` as ${name}`}.`;
  return status === "waiting"
    ? `It is tried again soon: ${reason ?? "the connection failed"}`
    : `It was not linked: ${reason ?? "no reason was told"}`;
}

function troubles({ outbox, possibleDuplicates, restarts }: ChannelEntry): readonly string[] {
  return [
    ...(outbox === 0 ? [] : [`${outbox} ${outbox === 1 ? "text waits" : "texts wait"} to be sent`]),
    ...(possibleDuplicates === 0
      ? []
      : [`${possibleDuplicates} ${possibleDuplicates === 1 ? "text" : "texts"} may have arrived twice`]),
    ...(restarts === 0 ? [] : [`its thread was restarted ${restarts === 1 ? "once" : `${restarts} times`}`]),
  ];
}
