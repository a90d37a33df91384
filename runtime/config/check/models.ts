/** Whether providers of models say how they are spoken to and where they are, and can be named. */
import type { Draft } from "../draft.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { apiOf, isKnown } from "../models.ts";
import { makeIssue } from "../validate.ts";
import { whatIsWrong } from "./secret.ts";

export function checkModels(draft: Draft): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const report = (path: Path, message: string, remedy: string): void => {
    issues.push(makeIssue(path, message, remedy, draft.written));
  };
  for (const [id, provider] of Object.entries(draft.config.models.providers)) {
    const at: Path = ["models", "providers", id];
    const api = apiOf(id, provider);
    if (id.includes("/"))
      report(at, "has a name with a slash: a model is named provider/model", "Give the provider another name.");
    if (api === undefined)
      report(
        [...at, "api"],
        "is missing: the provider is none that is known by name",
        'Say how it is spoken to, for example "openai-completions".',
      );
    else if (api === "openai-completions" && provider.baseUrl === undefined && !isKnown(id))
      report(
        [...at, "baseUrl"],
        "is missing: the provider is none that is known by name",
        "Give the address of its API.",
      );
    // Said without the value, which holds a secret.
    const { username = "", password = "" } = URL.parse(provider.baseUrl ?? "") ?? {};
    if (username !== "" || password !== "")
      issues.push(
        makeIssue(
          [...at, "baseUrl"],
          "holds a name or a password: such an address is never asked, and failures would quote it",
          "Take them out, and give the credential in apiKey or headers.",
          draft.written,
          "without-value",
        ),
      );
    for (const [place, secret] of [
      [[...at, "apiKey"], provider.apiKey] as const,
      [[...at, "oauth", "clientSecret"], provider.oauth?.clientSecret] as const,
      ...Object.entries(provider.headers).map(([name, value]) => [[...at, "headers", name], value] as const),
    ]) {
      const wrong = whatIsWrong(secret);
      if (wrong !== undefined) report(place, ...wrong);
    }
    const { issuer, tokenUrl, authorizationUrl, deviceUrl } = provider.oauth ?? {};
    if (provider.oauth !== undefined && issuer === undefined) {
      if (tokenUrl === undefined)
        report(
          [...at, "oauth", "tokenUrl"],
          "is missing, and there is no issuer that would say it",
          "Give the issuer, or the addresses themselves: tokenUrl, and authorizationUrl or deviceUrl.",
        );
      else if (authorizationUrl === undefined && deviceUrl === undefined)
        report(
          [...at, "oauth"],
          "says where tokens are given, and not where a person signs in",
          "Add authorizationUrl (with a browser) or deviceUrl (with a code), or the issuer.",
        );
    }
    const seen = new Set<string>();
    for (const [index, model] of provider.models.entries()) {
      const place: Path = [...at, "models", index];
      if (seen.has(model.id)) report([...place, "id"], "is there twice", "Remove one of the two.");
      seen.add(model.id);
      const isScripted = (model.api ?? api) === "scripted";
      if (isScripted !== (model.script !== undefined) && api !== undefined)
        report(
          [...place, "script"],
          isScripted ? "is missing: a scripted model answers by it" : 'is only for models of api "scripted"',
          isScripted
            ? 'Add the rules, for example script: [{ say: "hello" }].'
            : 'Remove it, or set the api to "scripted".',
        );
    }
  }
  return issues;
}
