/** Switches an account of a channel on or off in the authored configuration. Pure. */
import { failure } from "../kernel/errors.ts";
import { normalizeAccountId } from "../routing/ids.ts";
import { applyEdits } from "./edits.ts";
import { isMap } from "./is-map.ts";
import { formatPath } from "./issue.ts";

/** Without an account the whole channel. @throws CLOISTER_CHANNEL_UNKNOWN when the configuration has no such thing */
export function switchAccount(value: unknown, channel: string, account: string | undefined, isOn: boolean): unknown {
  const section = isMap(value) && isMap(value["channels"]) ? value["channels"][channel] : undefined;
  if (!isMap(section))
    throw failure(
      "CLOISTER_CHANNEL_UNKNOWN",
      `the configuration has no section channels.${channel}`,
      `write it first: docs/guides/${channel}.md says what goes there`,
    );
  const at = ["channels", channel];
  if (account === undefined) return applyEdits(value, { set: [{ path: [...at, "enabled"], value: isOn }] });
  const names = isMap(section["accounts"]) ? Object.keys(section["accounts"]) : [];
  const name = names.find((one) => normalizeAccountId(one) === normalizeAccountId(account));
  if (name === undefined)
    throw failure(
      "CLOISTER_CHANNEL_UNKNOWN",
      `channels.${channel} has no account ${JSON.stringify(account)}`,
      names.length === 0
        ? "leave --account out: the channel's own keys are its one account"
        : `use one of: ${names.join(", ")}, or write ${formatPath([...at, "accounts", account])} first`,
    );
  return applyEdits(value, { set: [{ path: [...at, "accounts", name, "enabled"], value: isOn }] });
}
