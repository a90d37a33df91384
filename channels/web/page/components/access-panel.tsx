/**
 * Right: clients and senders that ask to come in, what an approval would give in plain words, and one press that decides. Only for
 * who may decide; nothing while nobody asks and no device is approved.
 */
import { useRef } from "preact/hooks";
import type { Page } from "../page.ts";
import { type DeviceRequest, describeKind, type PairedDevice, type SenderRequest } from "../wire-access.ts";
import { AskTwice } from "./ask-twice.tsx";
import { Age, Time } from "./times.tsx";

export function AccessPanel({ page }: { readonly page: Page }) {
  const { devices, paired, senders } = page.view.access.value;
  const title = useRef<HTMLHeadingElement>(null);
  const waiting = devices.length + senders.length;
  if (!page.view.isAdmin.value || waiting + paired.length === 0) return null;
  const onDone = (): void => title.current?.focus();
  return (
    <section class="panel-part" aria-labelledby="access-title" data-testid="access">
      <h2 id="access-title" class="panel-title" tabIndex={-1} ref={title}>
        Devices and senders {waiting > 0 && <span class="count">{waiting}</span>}
      </h2>
      <ul class="list">
        {devices.map((request) => (
          <Device key={request.requestId} page={page} request={request} onDone={onDone} />
        ))}
        {senders.map((request) => (
          <Sender key={request.code} page={page} request={request} onDone={onDone} />
        ))}
      </ul>
      {paired.length > 0 && (
        <details class="entry-details" data-testid="devices">
          <summary>
            {paired.length} approved {paired.length === 1 ? "device" : "devices"}
          </summary>
          <ul class="list">
            {paired.map((device) => (
              <Paired key={device.deviceId} page={page} device={device} onDone={onDone} />
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

interface Props {
  readonly page: Page;
  readonly onDone: () => void;
}

function Device({ page, request, onDone }: Props & { readonly request: DeviceRequest }) {
  const { requestId, deviceId, kind, client, from, role, askedAtMs, adds, already } = request;
  const id = deviceId.slice(0, 12);
  return (
    <li class="entry" data-testid="device-request" data-id={requestId} data-device={deviceId}>
      <p class="entry-title">
        {client} {describeKind(kind)}
      </p>
      <p class="row-more">
        device <span class="mono">{id}</span>
        {from !== "" && `, ${from}`}; role {role}; asked <Age atMs={askedAtMs} nowMs={page.nowMs} /> ago
      </p>
      {adds.length > 0 && (
        <ul class="kept" aria-label="What it would get">
          {adds.map(({ scope, meaning }) => (
            <li key={scope} class="entry-text" data-testid="device-adds">
              + <span class="mono">{scope}</span>: {meaning}
            </li>
          ))}
        </ul>
      )}
      {already.length > 0 && <p class="row-more">It has already: {already.join(", ")}</p>}
      <p class="row-more">An approval lasts until it is revoked.</p>
      <Decision
        page={page}
        busyKey={requestId}
        testId="device"
        about={`${client}, device ${id}`}
        onDone={onDone}
        onApprove={() => page.access.approveDevice(request)}
        onReject={() => page.access.rejectDevice(requestId)}
      />
    </li>
  );
}

function Sender({ page, request, onDone }: Props & { readonly request: SenderRequest }) {
  const { code, channel, accountId, sender, askedAtMs } = request;
  return (
    <li class="entry" data-testid="sender-request" data-id={code}>
      <p class="entry-title">
        {sender} wants to write on {channel}
      </p>
      <p class="row-more">
        account {accountId}; code <span class="mono">{code}</span>; asked <Age atMs={askedAtMs} nowMs={page.nowMs} />{" "}
        ago
      </p>
      <p class="row-more">Approved, this sender may write directly to this account. No group, no other account.</p>
      <Decision
        page={page}
        busyKey={code}
        testId="sender"
        about={`${sender} on ${channel}`}
        onDone={onDone}
        onApprove={() => page.access.approveSender(code)}
        onReject={() => page.access.dismissSender(code)}
      />
    </li>
  );
}

interface DecisionProps extends Props {
  readonly busyKey: string;
  readonly testId: string;
  readonly about: string;
  readonly onApprove: () => void;
  readonly onReject: () => void;
}

function Decision({ page, busyKey, testId, about, onDone, onApprove, onReject }: DecisionProps) {
  const isBusy = page.view.busy.value.has(busyKey) || page.view.connection.value.type !== "ready";
  return (
    <div class="entry-actions" role="group" aria-label={`Decide about ${about}`}>
      <button
        type="button"
        class="button"
        data-testid={`${testId}-approve`}
        aria-label={`Approve ${about}`}
        disabled={isBusy}
        onClick={() => {
          onDone();
          onApprove();
        }}
      >
        Approve
      </button>
      <button
        type="button"
        class="button quiet"
        data-testid={`${testId}-reject`}
        aria-label={`Reject ${about}`}
        disabled={isBusy}
        onClick={() => {
          onDone();
          onReject();
        }}
      >
        Reject
      </button>
    </div>
  );
}

function Paired({ page, device, onDone }: Props & { readonly device: PairedDevice }) {
  const { deviceId, name, scopes, roles, approvedAtMs, connected } = device;
  const isBusy = page.view.busy.value.has(deviceId) || page.view.connection.value.type !== "ready";
  const rights = [...roles, ...scopes].join(", ");
  return (
    <li class="entry" data-testid="device" data-device={deviceId}>
      <span class="row-line">
        <span class="row-name" title={deviceId}>
          {name}
        </span>
        <span class="row-time">{connected ? "connected" : <Time atMs={approvedAtMs} />}</span>
      </span>
      <span class="row-more">{rights === "" ? "no right; it was revoked" : rights}</span>
      <span class="entry-actions">
        <AskTwice
          words="Remove"
          question="Remove it?"
          label={`Remove the device ${name}`}
          labelAsking={`Remove it? The connections of ${name} end, and it has to be approved again`}
          testId="device-remove"
          disabled={isBusy}
          onConfirm={() => {
            onDone();
            page.access.removeDevice(deviceId);
          }}
        />
      </span>
    </li>
  );
}
