/** Applications of Slack as the file has them. */
import type { SlackSettings } from "../../../channels/slack/manifest.ts";
import type { WithReferences } from "../../broker/port.ts";
import {
  type AccountResults,
  apiRootOf,
  commonSettings,
  loginCredential,
  missingLogin,
  reactionSettings,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["slack"]>;

export const readSlack = (draft: Draft): AccountResults<WithReferences<SlackSettings>> =>
  resolveAccounts(draft, "slack", draft.config.channels.slack, readApplication);

const credentials = {
  botToken: ["SLACK_BOT_TOKEN", "the bot token (xoxb-…) of the application"],
  appToken: ["SLACK_APP_TOKEN", 'an app-level token (xapp-…) with the scope connections:write, or mode to "http"'],
  signingSecret: ["SLACK_SIGNING_SECRET", "the signing secret of the application"],
} as const;

function readApplication(
  account: WrittenAccount<Section["accounts"][string], Section>,
): ResolvedAccount<WithReferences<SlackSettings>> {
  const { own, section } = account;
  const lacks = (key: keyof typeof credentials, found: ReturnType<typeof loginCredential>) => {
    const [variable, what] = credentials[key];
    return missingLogin(account, key, found, what, variable);
  };
  const read = (key: keyof typeof credentials) =>
    loginCredential(account, key, { own: own[key], section: section[key] }, credentials[key][0]);
  const botToken = read("botToken");
  if (botToken.status !== "set") return lacks("botToken", botToken);
  const isHttp = (own.mode ?? section.mode) === "http";
  const key = isHttp ? "signingSecret" : "appToken";
  const second = read(key);
  if (second.status !== "set") return lacks(key, second);
  return {
    settings: {
      ...commonSettings(account),
      ...reactionSettings("slack", account),
      botToken: botToken.value,
      apiRoot: apiRootOf(account, "https://slack.com/api"),
      transport: isHttp ? { type: "http", signingSecret: second.value } : { type: "socket", appToken: second.value },
      replyToMode: own.replyToMode ?? section.replyToMode ?? "off",
      commandName: own.slashCommand?.name ?? section.slashCommand?.name ?? "cloister",
    },
  };
}
