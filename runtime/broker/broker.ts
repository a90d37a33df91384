/**
 * The broker: takes calls of models, finds who may answer them, tries, and gives the answer as one text with what it took. It holds
 * credentials and connections, runs no code of agents, and decides no right: the kernel has judged the call before it comes here.
 */
import { failure, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { ModelEnd } from "../kernel/model-call.ts";
import { partsOfModel, wholeModelName } from "../kernel/model-name.ts";
import { stoppedRefusal } from "../kernel/posts.ts";
import { nanosPerDollar } from "../kernel/usage.ts";
import type { Tellable } from "../thread/calls.ts";
import type { ModelAnswer, ModelRequest } from "../thread/model-port.ts";
import { allowedModels } from "./allowed-models.ts";
import { costOf } from "./cost.ts";
import { makeEmbedder } from "./embedding.ts";
import {
  type BrokerAsk,
  type BrokerForKernel,
  type EmbedAsk,
  embedApis,
  type EmbedEnd,
  type KernelForBroker,
  type ModelEntry,
  type ModelSettings,
  type ProviderSettings,
} from "./port.ts";
import { hideSecrets } from "./hide.ts";
import { own } from "./own.ts";
import { hasPictures, readPictures, withoutPictures } from "./pictures.ts";
import { makePlaces } from "./places.ts";
import { type Credential, type Credentials, describeProblems, makeProfiles } from "./profiles.ts";
import { codeOfKind, ProviderFailure, remedyOf } from "./provider-failure.ts";
import { findUnread } from "./provider-secrets.ts";
import { makeReadRequest } from "./request.ts";
import { makeScripted } from "./scripted.ts";
import { makeSdkSpeaker } from "./sdk.ts";
import { makeRenewal } from "./renewal.ts";
import { formOf, makeResting } from "./resting.ts";
import { makeSecretReader, type SecretReader } from "./secret-refs.ts";
import { sendable } from "./sendable.ts";
import type { Speaker, Speech, SpokenRequest } from "./speaker.ts";
import { type Clock, type Tries, tryWays } from "./tries.ts";
import { withholdTools } from "./withhold-tools.ts";

export interface BrokerDeps {
  readonly settings: ModelSettings;
  readonly remote: Tellable<KernelForBroker>;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

interface Target {
  /** `provider/model`. */
  readonly model: string;
  readonly provider: ProviderSettings;
  readonly entry: ModelEntry;
}

interface FullWay {
  readonly model: string;
  readonly profile: string;
  readonly target: Target;
  readonly credential: Credential;
  readonly headers: readonly ReadHeader[];
}

type ReadHeader = readonly [name: string, found: Awaited<ReturnType<SecretReader["read"]>>];

export function makeBroker({ settings: first, remote, clock, fetch }: BrokerDeps): BrokerForKernel {
  let settings = first;
  const running = new Map<number, AbortController>();
  const readRequest = makeReadRequest();
  const secrets = makeSecretReader(() => settings, clock.nowMs);
  const profiles = makeProfiles(() => settings, secrets, makeRenewal(fetch, clock.nowMs, secrets), clock.nowMs);
  const resting = makeResting(clock.nowMs);
  /** Models that are open, by all that they were opened with; it holds credentials, and never leaves this thread. */
  const speakers = new Map<string, Speaker>();
  const places = makePlaces(limits.modelTriesAtOnceMax, limits.modelTriesOfAgentMax);

  const log: Tellable<KernelForBroker>["log"] = (level, message, fields) => remote.log(level, message, fields);

  async function answer(ask: BrokerAsk, signal: AbortSignal): Promise<ModelEnd> {
    const request = readRequest(ask.request, ask.tools);
    const wanted = wholeModelName(settings.aliases ?? {}, ask.model);
    const targets = allowedModels(settings, ask.agentId, wanted).map((model) => findTarget(settings, model));
    /** What must not be in a message. */
    const keys: string[] = [];
    let asked: FullWay | undefined;
    const pieces = makePieces(ask, (text) => remote.text(ask.id, text), clock);
    try {
      return await tryWays<FullWay, ModelEnd>({
        ways: waysOf(targets, ask.agentId, ask.authProfile),
        clock,
        signal,
        async once(way) {
          asked = way;
          const { target, credential } = way;
          const { request: offered, withheld } = withholdTools(settings, ask.agentId, target.model, request);
          if (withheld.length > 0)
            log("debug", "the tool policy keeps tools from a model (tools.byProvider)", {
              agent: ask.agentId,
              model: target.model,
              tools: withheld,
            });
          if (credential.secret !== undefined) keys.push(credential.secret.value);
          const speak = speakerOf(way, keys);
          const leave = await places.enter(ask.agentId, signal);
          let speech: Speech;
          try {
            pieces.begin();
            speech = await speakWithPictures(ask.agentId, target, offered, (spoken) =>
              speak(spoken, signal, pieces.add),
            );
          } finally {
            leave();
          }
          refuseWithheld(speech, withheld);
          const { text, toolCalls, finish } = speech;
          // The person who asked hears nothing, and nobody else says why.
          if (text === "" && toolCalls.length === 0)
            log("warn", "a model answered with nothing", { agent: ask.agentId, model: target.model, finish });
          pieces.flush();
          const costNanos = costOf(speech.usage, target.entry.cost);
          const told: ModelAnswer = {
            ...speech,
            ...(costNanos === undefined ? {} : { costUsd: costNanos / nanosPerDollar }),
            model: target.model,
          };
          const used = {
            input: speech.usage.inputTokens,
            output: speech.usage.outputTokens,
            ...(costNanos === undefined ? {} : { costNanos }),
          };
          resting.answered({ provider: target.provider.id, agentId: ask.agentId, credential });
          return { ok: true, json: JSON.stringify(told), used, model: target.model };
        },
        ...notesOf(ask.agentId, keys),
      });
    } catch (error) {
      if (signal.aborted) return { ok: false, refusal: stoppedRefusal };
      return { ok: false, refusal: refusalOf(error, keys, asked) };
    } finally {
      pieces.close();
    }
  }

  /** A provider may refuse a request for one of its pictures, and the conversation would have it in each further turn: then it is asked without. */
  async function speakWithPictures(
    agentId: string,
    { model, entry }: Target,
    request: ModelRequest,
    speak: (request: SpokenRequest) => Promise<Speech>,
  ): Promise<Speech> {
    const { agents, pictureBytesMax: bytesMax = limits.modelPictureBytesDefault } = settings;
    const shown = await readPictures(request, {
      workspace: own(agents, agentId)?.workspace,
      bytesMax,
      ...(entry.input === undefined || entry.input.includes("image") ? {} : { blind: `${model} reads no pictures` }),
    });
    if (shown.size === 0) return speak(request);
    try {
      return await speak({ ...request, shown });
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.kind !== "refused" || !hasPictures(shown)) throw error;
      log("warn", "a model refused a request with pictures; it is asked without them", { agent: agentId, model });
      return speak({ ...request, shown: withoutPictures(shown) });
    }
  }

  const notesOf = (
    agentId: string,
    keys: readonly string[],
  ): Pick<Tries<FullWay, unknown>, "onGivenUp" | "onRetry"> => {
    const factsOf = (way: FullWay, { kind }: ProviderFailure): object => {
      return { agent: agentId, model: way.model, profile: way.profile, kind };
    };
    return {
      // Minutes may pass with it, and nobody else says why nothing is answered.
      onRetry: (way, failed, pauseMs) =>
        log("info", `a model did not answer, and is asked again: ${hideSecrets(failed.message, keys)}`, {
          ...factsOf(way, failed),
          pauseMs,
        }),
      onGivenUp(way, failed, next) {
        resting.failed({ provider: way.target.provider.id, agentId, credential: way.credential }, failed.kind);
        log("warn", `a model did not answer: ${hideSecrets(failed.message, keys)}`, {
          ...factsOf(way, failed),
          ...(next === undefined ? {} : { next: next.model, nextProfile: next.profile }),
        });
      },
    };
  };

  async function embed({ agentId, texts, isQuery }: EmbedAsk, signal: AbortSignal): Promise<EmbedEnd> {
    const model = own(settings.agents, agentId)?.embeddings;
    if (model === undefined)
      throw failure("CLOISTER_MODEL_UNAVAILABLE", `the agent ${agentId} has no model for embeddings`, embeddingsRemedy);
    const target = findTarget(settings, model);
    const api = embedApis[target.entry.api ?? target.provider.api];
    if (api === undefined)
      throw failure("CLOISTER_MODEL_UNAVAILABLE", `${target.provider.id} makes no embeddings`, embeddingsRemedy);
    const keys: string[] = [];
    let asked: FullWay | undefined;
    let failed: unknown;
    try {
      return await tryWays<FullWay, EmbedEnd>({
        ways: waysOf([target], agentId),
        clock,
        signal,
        async once(way) {
          asked = way;
          const { credential, headers: read } = way;
          const { secret } = credential;
          if (secret !== undefined) keys.push(secret.value);
          const headers = headersOf(target.provider, read, keys);
          const { baseUrl } = target.provider;
          const leave = await places.enter(agentId, signal);
          try {
            const { vectors, tokens } = await makeEmbedder({
              provider: target.provider.id,
              model: target.entry.id,
              api,
              ...(baseUrl === undefined ? {} : { baseUrl }),
              ...(secret === undefined ? {} : { credential: secret }),
              headers,
              fetch,
              nowMs: clock.nowMs,
            })(texts, isQuery, signal);
            const costNanos = costOf({ inputTokens: tokens, outputTokens: 0 }, target.entry.cost);
            return {
              ok: true,
              vectors,
              used: { input: tokens, output: 0, ...(costNanos === undefined ? {} : { costNanos }) },
            };
          } catch (error) {
            if (!signal.aborted) failed = error;
            throw error;
          } finally {
            leave();
          }
        },
        ...notesOf(agentId, keys),
      });
    } catch (error) {
      // When the time is over in a pause, what went wrong before it is why.
      return { ok: false, refusal: refusalOf(signal.aborted ? (failed ?? error) : error, keys, asked) };
    }
  }

  /**
   * Models in order, each with its credentials; those that rest come last among their model's. Credentials of a model are looked for when
   * it is its turn: mostly the first one answers, and a program or a renewal for the others would only make it wait. One that is refused is
   * read again, and tried once more if it is another one by now: it was changed where it is kept.
   */
  async function* waysOf(
    targets: readonly Target[],
    agentId: string,
    authProfile?: string,
  ): AsyncGenerator<FullWay, undefined, ProviderFailure | undefined> {
    let isOne = false;
    const why: string[] = [];
    for (const target of targets) {
      // A fallback of another provider has none of that name.
      const chosen = target.provider.id === targets[0]?.provider.id ? authProfile : undefined;
      const { usable, problems } = await findCredentials(agentId, target, chosen);
      for (const { id, forOperator } of problems)
        if (forOperator !== undefined)
          log("error", `a credential cannot be read: ${forOperator}`, { agent: agentId, profile: id });
      const until = (credential: Credential): number =>
        resting.untilMs({ provider: target.provider.id, agentId, credential });
      const [ready, tired] = [
        usable.filter((each) => until(each) <= clock.nowMs()),
        usable.filter((each) => until(each) > clock.nowMs()),
      ];
      for (const credential of [...ready, ...tired.toSorted((a, b) => until(a) - until(b))]) {
        const headers = await readHeaders(target.provider);
        const way = { model: target.model, profile: credential.id, target, credential, headers };
        const failed = yield way;
        if (failed?.kind !== "credential") continue;
        secrets.forget(limits.secretProgramAgainMs);
        const again = (await findCredentials(agentId, target, chosen)).usable.find(({ id }) => id === credential.id);
        if (again === undefined) continue;
        const other = { ...way, credential: again, headers: await readHeaders(target.provider) };
        if (formOf(again) !== formOf(credential) || JSON.stringify(other.headers) !== JSON.stringify(headers))
          yield other;
      }
      isOne ||= usable.length > 0;
      if (usable.length === 0) why.push(`${target.model}: ${describeProblems(problems)}`);
    }
    if (isOne) return undefined;
    throw failure(
      "CLOISTER_MODEL_CREDENTIAL",
      `no credential for the model: ${why.join("; ")}`,
      why.some((one) => one.includes("unresolved_ref"))
        ? "`cloister logs` says why the reference gives nothing, and `cloister doctor` follows it"
        : "set the provider's variable (for example ANTHROPIC_API_KEY), models.providers.<id>.apiKey, or a profile in auth-profiles.json",
    );
  }

  async function findCredentials(
    agentId: string,
    { provider }: Target,
    authProfile: string | undefined,
  ): Promise<Credentials> {
    try {
      return await profiles.find(agentId, provider, authProfile);
    } catch (error) {
      // Where the file is, is the operator's to know.
      log("error", `credentials cannot be read: ${(error as Error).message}`, { agent: agentId });
      throw failure(
        "CLOISTER_MODEL_CREDENTIAL",
        `the credentials for ${provider.id} cannot be read`,
        "correct auth-profiles.json; the log says what is wrong with it",
        error,
      );
    }
  }

  const readHeaders = ({ headers }: ProviderSettings): Promise<readonly ReadHeader[]> =>
    Promise.all(
      Object.entries(headers).map(async ([name, told]) => [name, sendable(await secrets.read(told))] as const),
    );

  /** Their values are added to `keys`. */
  function headersOf(provider: ProviderSettings, read: readonly ReadHeader[], keys: string[]): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const [name, found] of read) {
      if ("missing" in found) {
        log("error", `the header ${name} of ${provider.id} has no value: ${found.missing}`, {});
        const told = provider.headers[name];
        const why = told !== undefined && "ref" in told ? `unresolved_ref (${told.ref.source})` : found.missing;
        throw new ProviderFailure("credential", `the header ${name} of ${provider.id} has no value: ${why}`);
      }
      headers[name] = found.value;
      keys.push(found.value);
    }
    return headers;
  }

  /** What it puts into headers is added to `keys`. */
  function speakerOf({ target, credential: { secret }, headers: read }: FullWay, keys: string[]): Speaker {
    const { model, provider, entry } = target;
    const api = entry.api ?? provider.api;
    if (api === "scripted") return makeScripted(model, entry.script ?? []);
    const headers = headersOf(provider, read, keys);
    const told = {
      provider: provider.id,
      model: entry.id,
      api,
      ...(provider.baseUrl === undefined ? {} : { baseUrl: provider.baseUrl }),
      ...(secret === undefined ? {} : { credential: secret }),
      headers,
      ...(entry.reasoning === undefined ? {} : { reasoning: entry.reasoning }),
      ...(entry.contextWindow === undefined ? {} : { contextWindow: entry.contextWindow }),
      ...(entry.maxTokens === undefined ? {} : { maxTokens: entry.maxTokens }),
    };
    const key = JSON.stringify(told);
    const speaker = speakers.get(key) ?? makeSdkSpeaker({ ...told, fetch, nowMs: clock.nowMs });
    // The one that was not used for longest goes.
    speakers.delete(key);
    speakers.set(key, speaker);
    const [oldest] = speakers.keys();
    if (speakers.size > limits.modelsOpenMax && oldest !== undefined) speakers.delete(oldest);
    return speaker;
  }

  return {
    async ask(ask) {
      const abort = new AbortController();
      running.set(ask.id, abort);
      try {
        return await answer(ask, abort.signal);
      } catch (error) {
        return { ok: false, refusal: toRefusal(error) };
      } finally {
        running.delete(ask.id);
      }
    },
    async embed(ask) {
      const signal = AbortSignal.timeout(ask.timeoutMs);
      try {
        return await embed(ask, signal);
      } catch (error) {
        if (!signal.aborted) return { ok: false, refusal: toRefusal(error) };
        const message = `the model for embeddings did not answer within ${ask.timeoutMs} ms`;
        return { ok: false, refusal: { code: "CLOISTER_MODEL_FAILED", message } };
      }
    },
    async cancel(id) {
      running.get(id)?.abort(new Error("the run was stopped"));
    },
    async configure(next) {
      settings = next;
      secrets.forget();
      speakers.clear();
    },
    profileNames: (agentId, providerId) => profiles.names(agentId, providerId),
    profileType: (agentId, providerId) => profiles.firstType(agentId, providerId),
    async readSecrets() {
      secrets.forget();
      speakers.clear();
      return { renewed: [], unread: await findUnread(settings.providers, secrets) };
    },
  };
}

const embeddingsRemedy =
  "set memorySearch.provider to a provider with embeddings (openai, google, ollama, or one of api openai-completions), and memorySearch.model";

/** An answer that calls what the policy kept from the model. */
function refuseWithheld({ toolCalls }: Speech, withheld: readonly string[]): void {
  const called = toolCalls.find(({ name }) => withheld.includes(name));
  if (called !== undefined)
    throw new ProviderFailure("output", `it called ${called.name}, which tools.byProvider keeps from it`);
}

/** `asked`: who failed last. @throws what is no failure of a provider. */
function refusalOf(error: unknown, keys: readonly string[], asked: FullWay | undefined): Refusal {
  if (!(error instanceof ProviderFailure)) throw error;
  const { kind, message, retryAfterMs } = error;
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  const told = asked === undefined ? message : `${asked.model}: ${message}`;
  const remedy = asked === undefined ? undefined : remedyOf(kind, asked.profile, asked.target.provider);
  return {
    code: codeOfKind[kind],
    message: hideSecrets(told, keys),
    ...(remedy === undefined ? {} : { remedy }),
    ...retry,
  };
}

function findTarget({ providers }: ModelSettings, model: string): Target {
  const { provider: named, id } = partsOfModel(model);
  const provider = own(providers, named);
  if (provider === undefined || id === "")
    throw failure(
      "CLOISTER_MODEL_UNAVAILABLE",
      `no_model: ${JSON.stringify(model)} names no provider of this gateway; those are ${Object.keys(providers).join(", ")}`,
      'write it as "provider/model", and add the provider to models.providers',
    );
  return { model, provider, entry: own(provider.models, id) ?? { id } };
}

interface Pieces {
  /** A further try begins: what was told stays told, and the new text comes with the answer alone. */
  begin(): void;
  readonly add: (text: string) => void;
  flush(): void;
  close(): void;
}

/** Pieces of a stream on their way to the cell: the first at once, then joined, so that a fast model does not cost the main thread. */
function makePieces({ wantsText }: BrokerAsk, tell: (text: string) => void, clock: Clock): Pieces {
  let waiting = "";
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let hasTold = false;
  let isSilent = !wantsText;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting === "") return;
    tell(waiting);
    hasTold = true;
    waiting = "";
    lastMs = clock.nowMs();
  };
  return {
    begin() {
      waiting = "";
      isSilent ||= hasTold;
    },
    add(text) {
      if (isSilent) return;
      waiting += text;
      const left = lastMs + limits.modelTextEveryMs - clock.nowMs();
      if (left <= 0) flush();
      else timer ??= setTimeout(flush, left);
    },
    flush,
    close: () => clearTimeout(timer),
  };
}
