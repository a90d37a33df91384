/**
 * What is used of libraries that are not installed with the rest. Their own types are not there for whoever did not run
 * `npm run bench:peers` and `npm run bench:rivetkit`, and the checks must not depend on that.
 */
declare module "threads" {
  interface ThreadWorker {
    addEventListener(event: "error", listener: () => void): void;
  }
  type Callee = (text: string) => unknown;
  /** Called like the function that the worker exposes. */
  type CalledThread = (text: string) => Promise<unknown>;
  export const Worker: new (
    file: string,
    options?: { readonly resourceLimits?: { readonly maxOldGenerationSizeMb?: number } },
  ) => ThreadWorker;
  export function spawn<Exposed extends Callee>(
    worker: ThreadWorker,
  ): Promise<CalledThread & { readonly from?: Exposed }>;
  export const Thread: { terminate(thread: CalledThread): Promise<void> };
}

declare module "threads/worker" {
  export function expose(callee: (text: string) => unknown): void;
}

declare module "comedy" {
  interface Actor {
    sendAndReceive(topic: string, text: string): Promise<unknown>;
    createChild(definition: string, options: { readonly mode: string }): Promise<Actor>;
    destroy(): Promise<void>;
  }
  const comedy: {
    createSystem(options: object): { rootActor(): Promise<Actor>; destroy(): Promise<void> };
  };
  export default comedy;
}

declare module "nact" {
  interface Ref<Message> {
    readonly message?: Message;
  }
  export function start(): object;
  export function stop(actor: object): void;
  export function spawnStateless<Message>(
    parent: object,
    handle: (message: Message) => void,
    name: string,
  ): Ref<Message>;
  export function dispatch(actor: unknown, message: unknown): void;
  export function query<Message>(
    actor: Ref<Message>,
    makeMessage: (sender: unknown) => Message,
    timeoutMs: number,
  ): Promise<unknown>;
}

declare module "rivetkit" {
  export function actor(definition: {
    readonly state: object;
    readonly actions: Readonly<Record<string, (context: unknown, text: string) => unknown>>;
  }): object;
  export function setup(options: { readonly use: Readonly<Record<string, object>>; readonly noWelcome: boolean }): {
    start(): void;
  };
}

declare module "rivetkit/client" {
  interface Connected {
    answer(text: string): Promise<unknown>;
    dispose(): Promise<void>;
  }
  export function createClient(endpoint: string): {
    readonly echo: { getOrCreate(key: readonly string[]): { connect(): Connected } };
  };
}
