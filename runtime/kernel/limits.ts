/**
 * Every bound of the system, in one place: name, unit, reason.
 *
 * A bound that an operator may change has its config key beside it; the rest are fixed, because moving them would break
 * a promise or a measured fact of the platform (`docs/adr/0002-limits.md`).
 */
export const limits = {
  /** Characters of one message body: 16 MiB at two bytes each, about 30 ms of the main thread for each pass (ADR 0014). Above it: 413 / `invalid`. */
  bodyCharsMax: 8_388_608,
  /** Characters of a body from which on it is a file of its own beside the agent's environment, named in its row. */
  blobCharsMin: 262_144,
  /** Characters of the answer of one turn. */
  replyCharsMax: 1_000_000,
  /** Characters of the parameters of one tool call (the message text travels apart, as the body). */
  callParamsCharsMax: 16_384,
  /** Characters of a session key that a cell may name. It becomes a key of the store. */
  sessionKeyCharsMax: 512,
  /** Keys that were found in their one spelling and are not parsed again for each message: of the sessions that write to each other. At most 0.5 MB. */
  canonicalKeysMax: 1_000,
  /** Calls of one turn; the journal remembers each of its sends until it is done, and a repeated delivery reads them all. */
  callsPerTurnMax: 100_000,
  /** Calls of one turn whose answers are on record: each costs a commit, and a repeated delivery reads them all. */
  stepsPerTurnMax: 1_000,
  /** Characters of one recorded answer, and of all of one turn: the main thread holds them while the turn is repeated. */
  stepCharsMax: 262_144,
  turnStepCharsMax: 4_194_304,
  /** Characters of one request to a model (JSON): a million tokens of text. The main thread passes it on unread. */
  modelRequestCharsMax: 6_291_456,
  /** Characters of the requests to models that wait for their answers, of one cell and of all: the main thread and the broker hold them so long. */
  modelRequestsPerCellCharsMax: 25_165_824,
  modelRequestsCharsMax: 134_217_728,
  /** Messages of one request to a model, and tools of a request or calls of a message. */
  modelMessagesMax: 20_000,
  modelToolsMax: 512,
  /**
   * Pictures that one request to a model shows, the newest first; their bytes together; and those of one picture, as base64 the 5 MiB that the narrowest
   * provider takes (config: `agents.defaults.mediaMaxMb`, up to all together).
   */
  modelPicturesMax: 20,
  modelPicturesBytesMax: 12_582_912,
  modelPictureBytesDefault: 3_932_160,
  /** Pictures of one message that a model describes for another one that reads none. */
  picturesDescribedMax: 4,
  /** Tokens of such a description. */
  pictureTokensMax: 1_024,
  /** Pictures of one result of an MCP server's tool that become files. */
  mcpPicturesMax: 4,
  /** Characters of the id of a model's call: providers use some 30. */
  modelCallIdCharsMax: 256,
  /** Characters of one answer, with its thoughts and calls: it is recorded as one step. */
  modelAnswerCharsMax: 200_000,
  /** Bytes of one answer as a provider sends it: each token has its own record in a stream, of about 300 bytes. */
  modelResponseBytesMax: 67_108_864,
  /** A provider that sends nothing for so long has failed. */
  modelSilenceMs: 180_000,
  /** A connection to a provider that is not there and encrypted after so long has failed. */
  modelConnectMs: 10_000,
  /** How long a connection to a provider is kept for the next request. */
  modelConnectionIdleMs: 4_000,
  /**
   * Tries of models that are under way at once, of all agents and of one: each holds a connection, its request and what came of its answer. One
   * agent alone takes half of the places; beyond them calls wait, those of the agent that has the fewest first.
   */
  modelTriesAtOnceMax: 128,
  modelTriesOfAgentMax: 64,
  /** Lists of tools that the broker keeps as it has read them, so that it need not read the same one for each call; longer ones are read each time. */
  modelToolListsKeptMax: 32,
  modelToolListKeptCharsMax: 131_072,
  /** Models that are kept open, each with one credential; a further one costs some milliseconds again. */
  modelsOpenMax: 64,
  /** Without a call for this long after its first one, the broker's thread gives back what loading the provider's package left behind. */
  brokerTrimMs: 1_000,
  /** Tries of one call with one credential in all, and retries of failures that pass by themselves within their time. Source: behaviour §5.5. */
  modelTriesMax: 10,
  modelRetriesMax: 8,
  modelTransientMs: 90_000,
  /** The first pause between tries, and the longest; a provider that wants a longer one is left for the next. Source for the first: behaviour §5.5. */
  modelPauseMsFirst: 1_000,
  modelPauseMsMax: 60_000,
  /** Bytes of one secret, wherever it is: keys have some 200, and tokens of some services a few thousand. Secrets that `cloister secrets` keeps. */
  secretBytesMax: 65_536,
  secretsMax: 1_000,
  /** Bytes of `.env` of the state directory, where the command line changes it. */
  envFileBytesMax: 1_048_576,
  /** A program that gives a secret may ask another machine; a person who has to confirm is not waited for. What it said is asked for again after so long. */
  secretProgramMs: 10_000,
  secretProgramKeepMs: 600_000,
  /** One that failed is run again after so long, whoever asks; a reload of the secrets runs it at once. */
  secretProgramRetryMs: 5_000,
  /** When its key was refused, it is asked again if it said that so long ago; for an account that waits for another key, once in the longer time. */
  secretProgramAgainMs: 10_000,
  secretProgramLookMs: 60_000,
  /** How many of such programs run at once for one thread or command, and of those with one name. */
  secretProgramsMax: 8,
  secretProgramsOfOneMax: 4,
  /** How long a command that follows all references begins with further ones. */
  secretsCheckMs: 60_000,
  /** How often the gateway's own doors look whether a secret that they refer to is another one. */
  secretLookMs: 30_000,
  /** Who changes a file of secrets holds it for milliseconds, and for one answer of a provider when a token is renewed: longer, and its process has died. */
  secretLockMs: 45_000,
  /** A token is renewed so long before it expires, as long as the first piece of an answer may take; and a server of tokens has so long to answer. */
  modelRenewEarlyMs: 60_000,
  modelRenewMs: 30_000,
  /** What a token counts for whose server does not say how long: what most give, and a shorter life than it has costs a renewal. */
  modelTokenSecondsDefault: 3_600,
  /** A person who signs in to a provider has so long; a browser's code counts for some ten minutes. */
  signInMs: 600_000,
  /** How often is asked whether a code was typed on another device, where the server does not say; how much less often when it finds that too often; and the bounds. Source: RFC 8628, 3.5. */
  signInPollSeconds: 5,
  signInSlowDownMs: 5_000,
  signInPollMsMin: 1_000,
  signInPollMsMax: 60_000,
  /** How long a credential comes last after it was refused or met a rate limit, and after a provider wanted to be paid. */
  modelRestMs: 60_000,
  modelBillingRestMs: 3_600_000,
  /** Pieces of an answer are joined for so long: a display shows no more. */
  modelTextEveryMs: 20,
  /** USD that the budget of a run may name: beyond it the numbers are not exact any more. */
  costUsdMax: 1_000_000,
  /** Minutes of turns that the budget of an agent may name for a day: those of a hundred turns that never rest. */
  turnMinutesPerDayMax: 144_000,
  /** USD for a million tokens that a config may name: a hundred times what the dearest model costs; costs stay exact numbers. */
  modelPriceMax: 100_000,
  /** Characters of the name of a model, with its provider. */
  modelNameCharsMax: 256,
  /** Characters of the name of a step. */
  stepNameCharsMax: 200,
  /** Characters of the message of a failed turn. */
  failureCharsMax: 4_096,
  /** Characters of the committed state of one session. */
  stateCharsMax: 1_000_000,
  /** Records in one mailbox frame; the sender, a cell or the kernel, flushes at this many. */
  frameRecordsMax: 64,
  /** Records of a frame at which the sender flushes after a question in memory: asking, checking and answering go on beside each other. */
  frameQuestionsFlush: 32,
  /** For how long the main thread's loop does not sleep after it has posted a question in memory, and again after the answer came meanwhile. */
  answerSpinMs: 0.1,
  /** Records of a frame with questions beyond which it does so for none: there are more under way than it would wait for. */
  answerSpinRecordsMax: 8,
  /** Questions that are posted without, at most, after one was not answered in that time; from 1 it doubles with each that is not. */
  answerSpinPauseMax: 255,
  /** Characters in one mailbox frame after which the sender flushes (a single larger record travels alone). */
  frameCharsFlush: 65_536,
  /** Envelopes waiting for one agent in memory, about 1 KB each (config: `agents.*.mailbox.depthMax`, and what happens beyond). */
  mailboxDepthMax: 10_000,
  /** Envelopes waiting for one session (config: `agents.*.mailbox.sessionDepthMax`). Does not bound a mailbox that spills. */
  sessionDepthMax: 2_000,
  /** Envelopes of one agent that wait on the disk behind those, when its mailbox spills; bounds the disk that a backlog takes. */
  spillDepthMax: 1_000_000,
  /** Headers that one reading of a backlog brings into memory. */
  refillRowsMax: 1_000,
  /** Pause after a reading that failed. */
  refillRetryMs: 1_000,
  /** Orders to stop what is in one backlog that are remembered until the disk has obeyed; a further one replaces the oldest. */
  spillStopsMax: 10_000,
  /** Rows of a stopped backlog that are looked at together: 5 to 10 ms of the store's thread. */
  dropRowsMax: 1_000,
  /** Appends of one agent that may be in flight; bounds a burst at a mailbox that spills, which has no other bound in memory. */
  appendsInFlightMax: 10_000,
  /** Characters of bodies in the whole process that wait for the journal or for a place in a mailbox (2 bytes each at the most). */
  heldCharsMax: 128 * 1_024 * 1_024,
  /** Senders that wait for a place in one mailbox that parks, and how long each may: an agent's turn, and a client of HTTP. */
  parkedSendersMax: 1_000,
  parkedSendMs: 30_000,
  parkedIngressMs: 5_000,
  /** Sends of one cell that are not yet acknowledged; beyond it the cell's mailbox parks the sender. */
  sendCreditsPerCell: 256,
  /** Tool calls of one cell that are not answered yet; beyond it a further one is refused as `busy`. */
  callsPerCellMax: 256,
  /** What a turn changed in the index of sessions is on the disk after so long at the latest; until then it is read from memory (`session-index.ts`). */
  indexLateMs: 25,
  /** An answer that a turn heard and that nothing was built on is on disk after so long at the latest (`steps.ts`). */
  recordLateMs: 5_000,
  /**
   * What the turns of one cell say while answers that they heard go to the disk (`steps.ts`): records and their characters beside the first
   * of each turn; a further one is refused as `busy`.
   */
  heldRecordsMax: 256,
  heldRecordsCharsMax: 8_388_608,
  /** Turns that one cell handles at a time, over different sessions (config: `agents.*.maxConcurrent` bounds the lane). */
  turnsPerCellMax: 64,
  /**
   * Threads of channels that belong to sub-agents' sessions, each with a run that stays; and the longest idle time and age of one
   * (config: `session.threadBindings`), a year: beyond that it is none.
   */
  threadBindingsMax: 1_000,
  threadBindingMsMax: 31_536_000_000,
  /** Places of the lanes beside `main` (config for that: `agents.defaults.maxConcurrent`). Source: behaviour §5.2. */
  subagentLanePlaces: 8,
  backgroundLanePlaces: 3,
  /** Turns of timers at a time: few, so that a storm of due times after a long stop leaves the machine to people. */
  cronLanePlaces: 4,
  /** A session whose mail waited longer for its turn is told in the log (level debug). Source: behaviour §5.2. */
  queuedNoticeMs: 2_000,
  /** Messages of people that wait in one session, and the quiet while of `collect` (config: `messages.queue`). Source: behaviour §5.3. */
  queueCap: 20,
  queueDebounceMs: 500,
  /** The longest quiet while: a message that was accepted should not wait for hours. */
  queueDebounceMsMax: 600_000,
  /** How long the first of several messages of one sender waits for the others at the most (config: `messages.inbound`). Source: behaviour §5.1. */
  heldMsMax: 60_000,
  /** Messages that one turn handles together, and their characters beyond the first: one delivery holds them all. */
  takenPerTurnMax: 100,
  takenCharsMax: 1_048_576,
  /** Characters that are left of a message which `summarize` shortens. */
  queueSummaryChars: 160,
  /** Sessions with a queue of their own (`/queue`): they are in memory. */
  queueOverridesMax: 10_000,
  /** Commands whose idempotency keys are remembered, in memory: a repeated one is not carried out again. */
  commandKeysMax: 5_000,
  /** The greatest weight of an agent: places of a lane that it gets in a row while others wait. */
  laneWeightMax: 100,
  /** Session states that one cell keeps in memory; the least recently used is dropped and read again when needed. */
  sessionsPerCellMax: 512,
  /** Sessions of which the main thread remembers that nobody chose with `/send` whether they may speak; the store is asked about others. */
  plainSessionsKnownMax: 4_096,
  /** Sub-agent runs under way in the whole gateway, waiting ones included: each has an entry and, at work, a cell. */
  runsMax: 1_000,
  /** Generations of sub-agents, and children of one session at a time, that a config may allow. Source: behaviour §3.5. */
  spawnDepthMax: 5,
  spawnChildrenMax: 20,
  /** Characters of a result that a run's row keeps; the transcript has the rest. */
  runResultCharsMax: 200_000,
  /** Characters of what a run streamed last, told when it ends without a result. */
  runProgressChars: 500,
  /** Characters of a task that a run's row keeps. */
  runTaskChars: 500,
  /** Files of one spawn and their bytes, as a config may allow: encoded and with the task they are one body. Source: behaviour §1.6. */
  attachmentsMax: 50,
  attachmentBytesMax: 6_000_000,
  attachmentNameCharsMax: 128,
  mountPathCharsMax: 256,
  /** Files that wait in memory for the cells of their runs, in the whole gateway: eleven spawns with as much as one may have. */
  attachmentsHeldBytesMax: 67_108_864,
  /** Tokens of each kind that one report may name: more than any model takes at once, and a thousand million of them are exact. */
  usageTokensMax: 1_000_000_000,
  /** Ended runs that are kept; the oldest whose completion is delivered and whose session is archived go first. */
  endedRunsMax: 10_000,
  /** Completion that a requester's mailbox does not take: pauses, and how long it is tried; then it is kept. Source: behaviour §3.5. */
  announceRetryMs: 15_000,
  announceRetryMsMax: 300_000,
  announceTryMs: 30 * 60_000,
  /** Runs that `subagents wait` takes, and its wait. Source: behaviour §3.7. */
  runsAwaitedMax: 32,
  runsAwaitedMsMax: 60_000,
  runsAwaitedMsDefault: 30_000,
  /** Newest messages of its requester that a sub-agent with `context: "fork"` begins with. */
  forkRowsMax: 1_000,
  /** Runs of one listing. */
  runsListDefault: 100,
  runsListMax: 500,
  /** Runs that `/subagents list` shows: what a message of a chat platform holds. */
  runsInChatMax: 20,
  /** Asks waiting at a time in the whole process. */
  asksMax: 100_000,
  /** Questions in memory that the kernel keeps as nothing but that; what goes beyond is kept as any other message (`questions.ts`). */
  questionsInTable: 1_024,
  /** Of how many of them clients are told as they come, within how many milliseconds; of one that waits longer they are told then. */
  toldQuestionsMax: 10,
  toldQuestionsMs: 100,
  /** Sessions to which a turn may have questions in memory that are judged once for all of them. */
  routesPerTurnMax: 256,
  /** Headers of such questions that a cell remembers. */
  routesPerCell: 256,
  /** Asks that wait and are listed (`flow.recent`), oldest first; how many wait is told in any case. */
  openFlowsListMax: 1_000,
  /** Agents that an envelope may pass through before it is refused as a loop. */
  hopsMax: 16,
  /** Messages that agents send each other because of one from outside: as many as one turn may make calls, so that only what multiplies meets it. */
  chainMessagesMax: 100_000,
  /** Tool calls of the turns of one chain: ten for each message that it may have, so that only what multiplies or never ends meets it. */
  chainCallsMax: 1_000_000,
  /** Tokens of models that the turns of one chain take (config: `tools.loopDetection.chainTokensMax`): a thousand requests of a full context of 128,000 and more. */
  chainTokensDefault: 200_000_000,
  /** Rules of `session.sendPolicy`: each is looked at for each answer that leaves. */
  sendRulesMax: 1_000,
  /** How long after the message that began it a chain may go on: as long as one message may wait. */
  chainMsMax: 7 * 24 * 60 * 60_000,
  /** Deliveries of an envelope that ends its cell, before it becomes a dead letter with the fate `poison`. */
  deliveryAttemptsMax: 2,
  /** Deliveries of an envelope whatever ended them, also the process; bounds the harm of one that ends the process each time. */
  deliveriesMax: 5,
  /** Age of an envelope, from its acceptance, above which it is a dead letter (`expired`) instead of a turn: nobody expects it any more. */
  envelopeAgeMsMax: 7 * 24 * 60 * 60_000,
  /** When the sender of a message that the store could not take is told to come again: rows that settle may make room by then. */
  storeRetryMs: 5_000,
  /** How long one inbound idempotency key is remembered, of the time that the gateway runs. Source: behaviour §5.1. */
  dedupeWindowMs: 20 * 60_000,
  /** Idempotency keys remembered per scope; a sixteenth more until the oldest go together. Source: behaviour §5.1. */
  dedupeKeysPerScopeMax: 5_000,
  /** Longest wait that `sessions_send` accepts. */
  askTimeoutMsMax: 24 * 60 * 60_000,
  /** Default wait of `sessions_send`. Source: behaviour §3.4. */
  askTimeoutMsDefault: 30_000,
  /** So often a call may fail in the same way in one run, and a chain of messages come to one session (config: `tools.loopDetection`). */
  sameFailuresDefault: 10,
  sameSessionDefault: 8,
  /** A stopped turn that is not done after this long loses its cell: with the look at the cells every 200 ms, under a second. */
  stopGraceMs: 300,
  /** How long the answer to a stop waits for the ends of what ran, and how many of the run ids it names. */
  stopWaitMs: 2_000,
  stopRunIdsMax: 100,
  /** A cell whose loop does not turn for this long while it has work is ended. */
  stuckMs: 1_000,
  /** The longest that a turn may ask for instead, by `ctx.busy`. */
  stuckMsMax: 60_000,
  /**
   * What such a cell waits for a CPU on a busy machine is not counted, up to this. One that truly spins harms nobody more than by the share that it gets; one that
   * is only starved would be ended in the middle of its turn, and at the second time its message would be set aside as poison.
   */
  stuckWaitMsMax: 15_000,
  /** How often the supervisor looks at the heartbeats. */
  heartbeatCheckMs: 200,
  /** How often a cell beats. */
  heartbeatEveryMs: 100,
  /** A cell that is not ready after this long is ended, and the start counts as a crash. */
  cellStartMs: 15_000,
  /**
   * Real paths of all agents' places, which a cell with a module of its own must not read: looked up so many at a time, and again by a start that
   * finds them older than this.
   */
  realPlacesAtOnce: 16,
  realPlacesKeptMs: 60_000,
  /** Cells that start at the same time; starting more at once costs everybody (measured: 50 at once take seconds). */
  cellStartsAtOnce: 2,
  /** Restarts of one cell within `restartPeriodMs` before the agent is parked. */
  restartIntensity: 5,
  restartPeriodMs: 60_000,
  /** Back-off before a restart: full jitter over this times 2^n, up to the maximum. */
  restartBackoffMs: 50,
  restartBackoffMsMax: 10_000,
  /** The greatest intensity that the config may set: its times are kept in memory, one number each. */
  restartIntensityMax: 1_000,
  /** Without a crash for this long, the back-off begins anew. */
  restartStableMs: 60_000,
  /**
   * Young and old generation of one cell, as V8 gets them. Passing the old one may abort the process, so a cell is ended at a
   * share of it (256 MB); what is between is room for an allocation in flight (measured: `docs/THREAT_MODEL.md`).
   */
  cellOldGenerationMb: 1_024,
  cellYoungGenerationMb: 16,
  cellHeapShare: 0.25,
  /**
   * Nice value of a cell, counted from the gateway's own: when all cores are busy, a third of the share that the kernel's, the store's and the
   * edge's thread get, which all agents wait for. The whole core when they are not.
   */
  cellNice: 5,
  /**
   * The same of a cell that stands still for half of its budget, or whose agent crashed a short while ago: a third of what the other cells get.
   * With much less its heartbeat could wait for so long that it is taken for stuck.
   */
  faultyCellNice: 10,
  /**
   * Young generation of the store's and the edge's thread: three times V8's semi-space, 4 MB. Without it each grows to 48 MB under
   * load and keeps them (measured: `docs/PERFORMANCE.md`, overload).
   */
  trustedYoungGenerationMb: 12,
  /**
   * The same of the main thread, in steps of 3 MB. V8's own is 96 MB on Node 26, which it fills under a flood of messages although next to nothing
   * of them lives: 60 MB more for the same CPU of a question (measured: `docs/PERFORMANCE.md`, overload). With 12 a question takes a fifth more of it.
   */
  mainYoungGenerationMb: 24,
  /** Buffers and other memory outside of the heap that one cell may hold. */
  cellExternalMbMax: 256,
  /** Descriptors that one cell may hold by `fs.open` and `fs.openSync`; the process has one table for all. */
  cellDescriptorsMax: 256,
  /** Old generation of a cell that is a process. V8 holds it to that: nobody else is in that heap. */
  cellProcessHeapMb: 256,
  /** V8's heap of the process that those of cells are children of: it keeps what each said last. */
  cellParentHeapMb: 32,
  /** All that such a process may hold: its heap, as much in buffers, about 70 MB that Node takes, and room to collect in. */
  cellProcessMbMax: 768,
  /** How much sooner than the gateway Linux ends the process of a cell when the machine has no memory left (0 to 1,000). */
  cellProcessOomScore: 500,
  /** One frame on the socket of such a process; the gateway holds it until it is whole. A cell ends a frame with the first record that passes 65,536 characters: the longest by the rules is a message of 8,388,608, 25.4 MB with what came before it at three bytes each. */
  cellFrameBytesMax: 33_554_432,
  /** Fields of one such frame: the kernel takes 514, and should be the one to say so. */
  cellFrameFieldsMax: 4_096,
  /** Further mail for such a process waits as text while its socket holds this many bytes: a heartbeat is not asked for behind more. */
  cellSocketAheadBytes: 4_194_304,
  /** Characters of mail that may wait for it. It has at most 64 turns with a message of 8,388,608 and a state of a million, and 256 answers of 262,144: 668 million. Only one that pretends to turn and does not read lets more come. */
  cellMailWaitingCharsMax: 671_088_640,
  /** Characters kept of what such a process writes to standard error: V8's reason for an abort is at the head. */
  cellLastWordsCharsMax: 16_384,
  /** How long the streams of a process that has ended are waited for: something that left its group may hold them open. */
  cellStreamsMs: 250,
  /** How often the memory of a busy cell is read (0.1 to 0.3 ms each; a flood fills a gigabyte in about a second). */
  heapCheckMs: 25,
  /** Busy cells whose memory is read in one such round; with more, they take turns. */
  heapChecksPerRound: 16,
  /** How often that of a busy cell is read which held less than half of its bound, while the process has not grown by `heapQuietGrowthMbMax` since. */
  heapQuietCheckMs: 100,
  /** Growth of the process since a cell was read from which it is read in every round again: what a flood adds in a third of one. */
  heapQuietGrowthMbMax: 8,
  /** How often the memory of an idle cell is read. */
  idleHeapCheckMs: 2_000,
  /** How old the resident memory of agents' processes may be that somebody is told: nobody reads it but who asks. */
  processMemoryMs: 2_000,
  /** How long whoever asks waits for a thread to read that of the processes it started; then it is not known. */
  processMemoryReadMs: 2_000,
  /** Processes of the machine that are read for it (20 to 30 microseconds each), and how many at once; with more of them it is not known. */
  processesReadMax: 8_192,
  processReadsAtOnce: 8,
  /** CPU profile of a stuck cell: sampled for this long before its end; sampling interval; size and number of files kept. */
  profileMs: 250,
  profileSampleMs: 5,
  profileBytesMax: 2_097_152,
  profileFilesMax: 20,
  /** A main thread whose loop does not turn for this long ends the process: nothing of the gateway works without it. */
  mainStuckMs: 30_000,
  /** Calls between our threads leave once a round of the loop; earlier, when those of so many events wait. */
  callEventsMax: 64,
  /** A thread that has closed everything ends at once. One that has not is ended after so long, and waited for as long again. */
  threadStopMs: 5_000,
  /** A thread of models, tools or a channel whose loop does not turn for this long is ended, and another takes its place. */
  helperStuckMs: 30_000,
  /** How often the gateway tells its launcher that its main thread's loop turns. */
  gatewayBeatMs: 1_000,
  /** Without a beat for this long the launcher kills it; longer than `mainStuckMs`, so that the process can say itself what it was. */
  gatewaySilentMs: 45_000,
  /** What a stop may take beyond its turns (cells end, stores flush), before the launcher kills the gateway. */
  gatewayStopMs: 10_000,
  /** The same after a second signal, which asks for the end at once. */
  gatewayHaltMs: 1_000,
  /** Crashes within the period after which the launcher gives up: more than `deliveriesMax`, so that a message that ends the process each time is set aside before. */
  gatewayRestarts: 10,
  gatewayRestartPeriodMs: 60_000,
  /** Back-off of the launcher: full jitter over this times 2^n, up to the maximum. */
  gatewayBackoffMs: 100,
  gatewayBackoffMsMax: 10_000,
  /** An idle cell ends after this long. */
  passivateAfterMs: 10 * 60_000,
  /** Memory maps that one cell costs at the most; with vm.max_map_count it bounds the number of live cells. */
  mapsPerCell: 130,
  /** Live cells when the machine does not tell its limit. */
  liveCellsMaxDefault: 400,
  /** Characters of one log record from a cell; longer ones are cut. */
  logCharsMax: 8_192,
  /** Log records that a cell may emit in a second; further ones are counted and dropped, and the count is logged. */
  logRecordsPerSecond: 200,
  /** The same in characters: every record is searched for secrets on the main thread, about 35 ms for a million characters. */
  logCharsPerSecond: 131_072,
  /** Characters of streamed text of one turn that are passed on; the final answer is bounded by `replyCharsMax`. */
  streamCharsMax: 1_000_000,
  /** Of a stream that may become an answer that says nothing so many are held back, blanks mostly: each new part is looked at with all of them. */
  streamHeldCharsMax: 100,
  /** The same of all turns of a cell in a second, at most `streamCharsMax` at once: each listener gets the whole text again with every new part of it. Thousands of answers of a model at once stay below. */
  streamCharsPerSecond: 4_000_000,
  /** Rows of `sessions_list`. Source: behaviour §3.2. */
  sessionsListDefault: 100,
  sessionsListMax: 200,
  /** Bytes of one `sessions_list` result. Source: behaviour §3.2. */
  sessionsListBytesMax: 65_536,
  /** Last messages of each row of `sessions_list`. Source: behaviour §3.2. */
  sessionsListMessagesMax: 20,
  /** Events that `session_status` tells since a version. Source: behaviour §3.7. */
  sessionEventsMax: 200,
  /** Messages of one history request, and its bytes. Source: behaviour §3.3. */
  historyMessagesDefault: 50,
  historyMessagesMax: 1_000,
  historyBytesMax: 81_920,
  historyTextCharsMax: 4_000,
  /** Characters that are read from the store for one page of history; what does not fit is on the next page. */
  historyReadCharsMax: 4_000_000,
  /** Threads that read and clean what is shown (history, search), how long an idle one lives, and requests that may wait for one. */
  readersMax: 2,
  readerIdleMs: 30_000,
  readerQueueMax: 256,
  /** What `sessions_search` looks for, and how many places it gives; as many as a model can use. */
  searchQueryCharsMax: 256,
  searchHitsDefault: 20,
  searchHitsMax: 50,
  /** Characters on each side of a place that was found. */
  searchContextChars: 120,
  /** Sessions that one search reads, the newest first; the next call goes on. Each may open an agent's environment. */
  searchSessionsMax: 50,
  /** Newest messages of one transcript that a search reads, and their characters; scrubbing is linear in those. */
  searchMessagesMax: 1_000,
  searchReadCharsMax: 1_000_000,
  /** Transcripts of one session that resets have ended, newest first, that a search reads. */
  searchPastTranscriptsMax: 3,
  /** Label of a session. Source: behaviour §3.4. */
  labelCharsMax: 512,
  /** Frame on a WebSocket before authentication, and after it. Source: protocol.md. */
  preauthFrameBytesMax: 65_536,
  frameBytesMax: 25 * 1024 * 1024,
  /** Bytes that may wait for one slow WebSocket before it is closed. */
  socketBufferedBytesMax: 50 * 1024 * 1024,
  /** Bytes that may wait for all slow WebSockets together; beyond, the slowest are closed. Five that are as slow as one may be. */
  socketsBufferedBytesMax: 256 * 1024 * 1024,
  /** Time that a client has for the handshake. */
  handshakeMs: 10_000,
  /** Keep-alive event on a WebSocket. Source: protocol.md. */
  tickMs: 15_000,
  /** WebSockets of one address that have not authenticated yet; more wait for nobody but could take all places of `connectionsMax`. */
  preauthSocketsPerAddressMax: 64,
  /** WebSocket connections at a time; a silent one takes a descriptor and some kilobytes (`npm run bench -- connections`). */
  connectionsMax: 12_000,
  /** TCP connections to the gateway at a time, WebSockets among them; a further one is closed as soon as it is there. */
  httpConnectionsMax: 14_000,
  /** How long an HTTP connection may lie idle between two requests: longer than the minute of common proxies, which else meet its end with a request on its way. */
  httpIdleMs: 65_000,
  /** How deep JSON from outside may nest. Payloads of programs have a dozen levels; thousands end the stack of whatever copies them. */
  jsonDepthMax: 64,
  /** Body of one HTTP request (webhook, hook). */
  httpBodyBytesMax: 1_048_576,
  /** Wrong webhook credentials per address in a minute, then locked out for as long. Source: behaviour §4.10. */
  webhookAuthFailuresPerMinute: 20,
  webhookAuthLockoutMs: 60_000,
  /** Wrong credentials on a WebSocket per address in a minute, and how long it is locked out then. Source: behaviour §4.10. */
  authFailuresPerMinute: 10,
  authLockoutMs: 5 * 60_000,
  /** The most that `gateway.auth.rateLimit` may say: beyond these it bounds nothing, or locks people out of their own gateway. */
  authFailuresCeiling: 1_000,
  authWindowMsMax: 60 * 60_000,
  authLockoutMsMax: 24 * 60 * 60_000,
  /** So long a reload of the secrets waits for each of those that use them: beyond the time of the programs that give them. */
  secretsReloadMs: 60_000,
  /** Addresses whose failed attempts are remembered; the oldest is forgotten first. */
  attemptAddressesMax: 10_000,
  /** Time that a client has for the head of an HTTP request, and then for its body. */
  httpHeadMs: 10_000,
  httpBodyMs: 15_000,
  /** The most that `agents.defaults.timeoutSeconds` may be: as long as a chain of messages may go on; a timer of Node goes no further than 24 days. */
  agentTurnMsMax: 7 * 24 * 60 * 60_000,
  /** The most that `hooks.maxBodyBytes` may allow: to read it as JSON holds the thread of the doors for some tens of milliseconds. */
  hookBodyBytesMax: 8_388_608,
  /** Characters of the template of a hook's message in the config. */
  hookTemplateCharsMax: 65_536,
  /** How long a webhook with `waitForCompletion` or `wait` waits for the answer of its run. */
  hookWaitMsDefault: 30_000,
  hookWaitMsMax: 600_000,
  /** The most that a mapping of the config gives the turn of its hook. */
  hookTurnMsMax: 24 * 60 * 60_000,
  /** How long a call of a program waits for its answer, as long as the usual client does; then its run is stopped. */
  programWaitMs: 600_000,
  /** Calls of programs that wait for their answers: of one caller, and of all; each holds a connection and a run. */
  programCallsPerCallerMax: 64,
  programCallsMax: 1_000,
  /** A comment in a stream that is silent, so that no proxy takes it for dead: theirs wait for a minute, some for half of it. */
  programSilenceMs: 15_000,
  /** Messages in one request of a program. */
  programMessagesMax: 2_000,
  /** Tasks that a program asks for by A2A: sessions and rows of their transcripts that are looked through for it, the newest first. */
  programTaskSessionsMax: 200,
  programTaskRowsMax: 2_000,
  /** Tasks in one answer, also when more are asked for, and when the client does not say. */
  programTasksPageMax: 100,
  programTasksPageDefault: 50,
  /** Characters of the id of a context that a program names; it is part of a session key. */
  contextIdCharsMax: 128,
  /** How long the answer to the cancellation of a task waits for its end. */
  taskCancelWaitMs: 5_000,
  /** How long the second response of `agent` is waited for when the client names no timeout. */
  runWaitMsDefault: 600_000,
  /** Requests of one WebSocket that are being answered at a time. */
  requestsPerSocketMax: 256,
  /** Bytes waiting for a slow WebSocket above which streamed text (`delta`) is left out; the final text still comes. */
  deltaBufferedBytesMax: 1_048_576,
  /** Frames of one event of the loop go to a WebSocket together, until so many bytes wait for it: thousands of clients may hear of the same event. */
  gatheredBytesMax: 4_096,
  /** What one run streams within this time is one `delta`: a reader sees no more often. */
  deltaPaceMs: 50,
  /**
   * Characters of all text so far that the deltas of one run repeat in a second, for clients that read nothing else of them; a text that has
   * grown by an eighth is repeated in any case. At `deltaPaceMs` each delta of up to 3,276 characters holds all of them.
   */
  wholeTextCharsPerSecond: 65_536,
  /** Difference between a device proof's `signedAt` and our clock. Source: protocol.md. */
  deviceSkewMs: 120_000,
  /** Bytes of the path of a unix socket: Linux takes 107, macOS 103. */
  socketPathBytesMax: 103,
  /** Time that a closing socket has to read its last frame before it is cut. */
  socketCloseGraceMs: 1_000,
  /** Outbound webhook: attempts, back-off between them, time for one, bytes read of its answer. Source: behaviour §5.5. */
  webhookAttemptsMax: 3,
  webhookBackoffMs: 400,
  webhookBackoffMsMax: 30_000,
  webhookAttemptMs: 10_000,
  webhookAnswerBytesMax: 65_536,
  /** Messages of one account that wait to be stored; the platform offers further ones again. Ten batches of Telegram. */
  channelIntakeMax: 1_000,
  /** Beyond them, of a platform that offers nothing again: messages on their way to be dead letters; a further one is told in the log alone. */
  channelRefusalsMax: 100,
  /** Whose messages are refused hears so once in this time, and of so many people it is known. */
  channelRefusalToldMs: 60_000,
  channelRefusalToldMax: 1_000,
  /** How long a message is tried again whose agent has no room, before its sender is told so: longer than a busy minute helps nobody who waits. */
  channelIntakeMs: 60_000,
  /**
   * How old a message may be that a platform tells of: what somebody wrote longer ago, before a long stop, is a dead letter instead of a turn, and its
   * sender is told. As long as Telegram keeps what it could not hand over.
   */
  channelMessageAgeMs: 86_400_000,
  /** Texts that wait to be sent through one channel; a further one is a dead letter, which can be replayed. */
  channelOutboxMax: 10_000,
  /** Attempts that the platform answered, and the pauses between them. Source: behaviour §5.5. */
  channelAttemptsMax: 3,
  channelAttemptBackoffMs: 400,
  channelAttemptBackoffMsMax: 30_000,
  /** An answer that could not be sent for so long is a dead letter: whoever asked has long gone on, and half of a day later it only confuses. */
  channelAnswerAgeMs: 3_600_000,
  /** Pauses before a lost connection is tried again, and how long one has to hold so that the next pause is short again. */
  channelBackoffMs: 1_000,
  channelBackoffMsMax: 60_000,
  channelStableMs: 60_000,
  /** How often an account that its platform did not take looks whether the secret that it refers to is another one by now. */
  channelSecretLookMs: 10_000,
  /** How long the connections of a channel have to end in order. */
  channelCloseMs: 5_000,
  /** How long its thread then has to end by itself: libraries of platforms leave timers behind, and the next thread of the channel waits for this one. */
  channelThreadGraceMs: 100,
  /** How long `channels status --probe` waits for one account. */
  channelProbeMs: 10_000,
  /** Heap of a channel's thread: several times what thousands of chats need; a leak ends the thread, which starts again, and not the process. */
  channelHeapMb: 256,
  /** How often an answer that is being written is shown: more edits of one chat are slowed down by platforms (Telegram: about one message a second), and a shorter one is there by then. */
  channelPreviewMs: 1_000,
  /** Messages that show what is being written, and that may become an answer; beyond it the oldest stays as it is. More than turns run at once. */
  channelPreviewsMax: 1_000,
  /** Tools that are named there, the last ones called. */
  channelPreviewToolsMax: 10,
  /** Characters of one piece of an answer that goes out while it is written, how long it is quiet before a shorter one does, and the pause before the next. Source: behaviour §5.4. */
  blockCharsMin: 800,
  blockCharsMax: 1_200,
  blockIdleMs: 1_000,
  blockPauseMsMin: 800,
  blockPauseMsMax: 2_500,
  /** What a pause between two pieces may be set to: the answer waits for it. */
  blockPauseMsCeiling: 60_000,
  /** Answers that go out in pieces at the same time; one more goes out whole. More than turns run at once. */
  blockAnswersMax: 1_000,
  /** Of the emoji with which messages are acknowledged: some platforms name theirs in words. */
  ackEmojiCharsMax: 100,
  /** Acknowledgements that are under way, or wait to be taken back, at the same time; one more is left out. */
  ackReactionsMax: 1_000,
  /** An acknowledgement of a longer turn is taken back before that has ended. */
  ackReactionMs: 3_600_000,
  /** That an agent types is shown for so long at the most: a longer turn is no conversation any more. */
  channelTypingMs: 600_000,
  /** How old a call that a platform signed may be: Slack's own advice. What was recorded opens nothing later. */
  signedCallMs: 300_000,
  /**
   * Files of one message that are fetched, bytes of one by default (what bots of Telegram may fetch) and at most, and how long one may take.
   * Messages whose files an agent keeps: the oldest go first.
   */
  channelMediaMax: 10,
  channelMediaBytesDefault: 20_000_000,
  channelMediaBytesMax: 100_000_000,
  channelMediaMs: 60_000,
  /** Files that the thread of a channel fetches at once, and sends at once: each is in its memory whole. */
  channelFilesAtOnce: 4,
  /** Channels of the operator's own (config: `channels.modules`): each has a thread. */
  ownChannelsMax: 16,
  channelInboxMessagesMax: 200,
  /** Files that leave with one answer, and buttons below it: rows of both that a screen still shows. */
  channelFilesMax: 10,
  channelButtonsMax: 8,
  /** Characters of a command that is shown in a chat for a decision: it stands in one message, with its buttons. Longer ones are decided elsewhere. */
  approvalTextCharsMax: 1_800,
  /** Slack: how long a call may take, and a question about a name: Slack waits three seconds for a sign that its event arrived. */
  slackCallMs: 10_000,
  slackLookupMs: 2_000,
  /** Slack: how long a socket may take to greet, how long it has to close, and how long it has to hold so that a new one is opened at once when Slack asks for it. */
  slackHelloMs: 20_000,
  slackCloseMs: 2_000,
  slackRefreshMs: 10_000,
  /** Slack: names, kinds of conversations and threads that are kept, how long, and how long after a question that failed. */
  slackKnownMax: 5_000,
  slackKnownMs: 3_600_000,
  slackUnknownMs: 60_000,
  /** The last messages of an account that it may remove again: each is two short ids in memory. */
  channelOwnMessagesMax: 10_000,
  /** Characters of such a message that are shown with a reaction to it. */
  channelOwnWordsMax: 80,
  /** Telegram: how long an album may be without another part, which are told one by one, and how many it has (the Bot API's bound). */
  telegramAlbumMs: 700,
  telegramAlbumMax: 10,
  /** Telegram: how long a poll is held open, how long any other call may take, and updates of one poll (the Bot API's bound). */
  telegramPollSeconds: 30,
  telegramCallSeconds: 20,
  telegramBatchMax: 100,
  /** Telegram: how long an update may be on its way to the store until the bot looks what came behind it: files of a message may take longer. */
  telegramOpenMs: 1_000,
  /** Characters of one message of a channel that the config may ask for (`channels.<channel>.textChunkLimit`), and the usual ones. Source: behaviour §5.4. */
  textChunkMax: 100_000,
  textChunkDefault: 4_000,
  /** Characters that answers may begin with (`responsePrefix`): below the least that a message of a channel has, which leaves some for the answer. */
  responsePrefixCharsMax: 64,
  /** IRC: usual pause between lines after a burst (config: `channels.irc.lineMs`). Source: the penalty of usual servers. */
  ircLineMs: 1_000,
  /** IRC: rooms of an account; networks allow about as many. */
  ircRoomsMax: 100,
  /** IRC: lines at once before the pauses between them begin, other nicks that are tried, and how a dead connection is found. */
  ircBurstLines: 5,
  ircNickTriesMax: 3,
  ircAnswerMs: 30_000,
  ircPingSeconds: 30,
  ircPingTimeoutSeconds: 120,
  /** IRC: bytes that may come without the end of a line. A line has at most 512 and its tags 8191 (IRCv3), so that none is refused which a server may send. */
  ircLineBytesMax: 16_384,
  /** Discord: how long a connection, the answer to a login and one request may take, and the time between two logins. Source: its documentation. */
  discordHandshakeMs: 10_000,
  discordReadyMs: 15_000,
  discordLoginMs: 60_000,
  discordCallMs: 15_000,
  discordIdentifyMs: 5_000,
  /** Discord: after so long somebody who presses a button gets the sign that it was taken, also when it is not stored yet: Discord waits for three seconds. */
  discordInteractionMs: 2_000,
  /** Discord: attempts to resume a session before another one is begun; with the pauses between them longer than Discord keeps one. */
  discordResumesMax: 8,
  /** Discord: direct chats whose place is known; another one is asked for. */
  discordDirectChatsMax: 10_000,
  /**
   * Discord: channels whose last heard message is kept, the last heard ones; messages of one that are fetched when they were missed (Discord's bound
   * of one request), and how long what fails is tried again: what comes now waits for it.
   */
  discordHeardMax: 200,
  discordMissedMax: 100,
  discordMissedMs: 60_000,
  /** How long an account that ends waits for messages that are on their way to the store. */
  discordCloseMs: 2_000,
  /** How often it is asked whether a code was scanned, and how many times: five minutes, twice as long as the platform shows codes. */
  channelLinkPollMs: 1_000,
  channelLinkPolls: 300,
  /** WhatsApp: messages, numbers and groups of an account that are remembered, to quote, to mark as read, and not to ask again. */
  whatsappKeptMax: 1_000,
  /** WhatsApp: messages that are known to be read when they are offered again, since nobody can read one twice. Those under way at a crash are a few. */
  whatsappReadMax: 1_000,
  /** WhatsApp: how often a device pings; a connection on which nothing comes for that time and five seconds more is given up at the next ping. */
  whatsappPingMs: 30_000,
  /** WhatsApp: how long the other side may take to agree to the end of a connection; one that is silent never does. */
  whatsappCloseMs: 2_000,
  /** WhatsApp: the pause after it says that it is too much at once; it does not say for how long. */
  whatsappPauseMs: 10_000,
  /** WhatsApp: how long a text may wait to be acknowledged. */
  whatsappAnswerMs: 30_000,
  /** WhatsApp: for how long a message that waits to be taken holds up the next one of its account: longer than a store takes. */
  whatsappHeldMs: 2_000,
  /** Timers and monitors that one agent may have; they live on disk and cost nothing while they wait. */
  timersPerAgentMax: 1_000,
  monitorsPerAgentMax: 1_000,
  /** Characters of a timer's name and of its text. */
  timerNameCharsMax: 128,
  timerTextCharsMax: 16_384,
  /** The shortest period of a recurring timer: each time costs a turn. */
  timerPeriodMsMin: 1_000,
  /** How long a task that a turn put off may take when it says nothing else. It is a timer of its agent. */
  taskMsDefault: 24 * 60 * 60_000,
  /** Characters of the result of such a task: below those of a body that is a file of its own, because it is written in one transaction. */
  taskResultCharsMax: 250_000,
  /** How far ahead a timer may be, and the longest period (five years). */
  timerHorizonMsMax: 5 * 366 * 24 * 60 * 60_000,
  /** The shortest period of a job, whose expressions tell minutes, and how far ahead is what an agent sets for once, which may set the next. */
  jobPeriodMsMin: 60_000,
  /** Times of a cron expression that are looked at for this: those of a day, at one a minute at the most, would be 1,440. */
  jobTimesChecked: 64,
  /** Sub-agents at work that a model is told of: as many as a session may have children by default, and those of its children. */
  childrenShownMax: 20,
  /** How long a turn of a job or a heartbeat may take before it is ended. Source: behaviour §5.7. */
  jobRunMsMax: 60 * 60_000,
  /** Jobs that an agent may set itself, beside its other timers: each is a turn that nobody asks for. */
  agentJobsMax: 100,
  /** What an agent may say on channels in a minute by its own calls: what most platforms bear from one account. */
  messagesPerMinuteMax: 30,
  /** Characters of one such message; its channel cuts it into as many as it needs. */
  messageToolCharsMax: 16_384,
  /** Between two regular turns of an agent whose `heartbeat` names no other time. Source: behaviour §5.8. */
  heartbeatTurnEveryMs: 30 * 60_000,
  /** The same where the agent's model is asked with a sign-in at Anthropic. Source: behaviour §5.8. */
  heartbeatTurnSignedInMs: 60 * 60_000,
  /** When the agent is at work in the session, the regular turn is tried again after this. */
  heartbeatTurnBusyMs: 30_000,
  /** Between two events that an agent is told of, and how many of them it takes in which time, and has waiting. Source: behaviour §5.8. */
  wakesApartMs: 30_000,
  wakesPerSpanMax: 5,
  /** Messages of hooks that wait for one agent's next heartbeat: each is a turn then. The peer keeps as many events of a session. */
  waitingHooksPerAgentMax: 20,
  wakesSpanMs: 60_000,
  /** What an answer of a regular turn may say beside HEARTBEAT_OK and still be no answer. Source: behaviour §5.8. */
  heartbeatAckCharsMax: 300,
  /** Turns for BOOT.md: a gateway that dies again and again at its start begins one in each span of this length. */
  bootTurnEveryMs: 60_000,
  /** Workspaces that a start looks into for a BOOT.md at the same time. */
  bootLooksAtOnce: 16,
  /** Rows of a deleted agent that are removed at the same time: they share writes, and leave the store to others in between. */
  forgottenAtOnce: 16,
  /** A recurring job that is later than this is not made up for: its time was missed, and the next one comes. */
  jobLateMsMax: 60_000,
  /** Ends that a job remembers, and characters of each. They are in its row. */
  jobRunsKeptMax: 20,
  jobRunCharsMax: 200,
  /** Due timers and downs that are read and journaled at a time. */
  dueRowsPerRead: 100,
  /** How long what the agent's mailbox or the store did not take waits for its next attempt. */
  dueRetryMs: 1_000,
  dueRetryMsMax: 60_000,
  /** The longest sleep until the next due time is looked at again, so that a step of the clock is noticed. No store is asked. */
  dueLookMs: 60_000,
  /** Monitors that one write turns into downs, when an agent or the gateway ends. */
  downsPerWriteMax: 1_000,
  /** Rights that operators granted at run time: each is looked at when a right is judged; more of them are rules for the config. */
  operatorGrantsMax: 1_000,
  /** Agents of one matrix of rights: 64 × 64 pairs are 28,672 judgements, and a page shows no more. */
  matrixAgentsMax: 64,
  /** Programs with a token of their own, each compared with a token that comes; and agents or patterns that one may call. */
  callersMax: 256,
  callerAgentsMax: 64,
  /** Requests for rights that wait for an operator: in all, those of one agent, and the messages kept with one; a person reads them. */
  grantRequestsMax: 256,
  grantRequestsPerAgentMax: 16,
  keptMessagesPerRequestMax: 16,
  /** Characters of one kept message; the row holds it. A longer one is sent again after the approval. */
  keptMessageCharsMax: 65_536,
  /** How long a request waits before its messages are dead letters, and how long nothing is asked again after a denial. */
  grantRequestAgeMs: 24 * 60 * 60_000,
  grantDenialMs: 60 * 60_000,
  /** Paired clients: all are looked at when one connects. Requests of clients that wait, and ids told why they wait no more. */
  devicesMax: 1_000,
  deviceRequestsMax: 64,
  deviceIdsRememberedMax: 256,
  /** How long a client's request waits after it was last asked. Source: behaviour §4.5. */
  deviceRequestAgeMs: 5 * 60_000,
  /** A silently approved client that was away for longer makes room for one like it; also how exactly it is kept when one was seen. */
  deviceOfflineMs: 60_000,
  /** Characters of the operator's name for a client, and of each thing that a client says of itself: both are shown in one line. */
  deviceLabelCharsMax: 64,
  deviceFactCharsMax: 64,
  /** Bootstrap tokens that are open at a time, and how long one is. Source: behaviour §4.3. */
  bootstrapTokensMax: 16,
  bootstrapTokenMs: 10 * 60_000,
  /** What one node is asked at a time, how long it has to answer, and the commands that it may declare. */
  nodeInvokesMax: 32,
  nodeInvokeMsDefault: 30_000,
  nodeInvokeMsMax: 10 * 60_000,
  nodeCommandsMax: 64,
  /** What a node says by itself goes to every client that may read: characters of one event (JSON), and events of one node in a window. */
  nodeEventCharsMax: 64 * 1_024,
  nodeEventsMax: 60,
  nodeEventWindowMs: 10_000,
  /** Agents, turns and kinds of refusals of which the figures for Prometheus tell: some hundred kilobytes of text at the most. */
  metricsAgentsMax: 250,
  metricsTurnsMax: 10_000,
  metricsDenialsMax: 500,
  /** Senders whom an account does not know: those that wait at a time, and how long. Source: behaviour §4.9. */
  senderRequestsPerAccountMax: 3,
  senderRequestAgeMs: 60 * 60_000,
  /** Approved senders of all accounts, which are held in memory; more of them are a list for the config. */
  knownSendersMax: 10_000,
  /** Pause before an approved message that its mailbox did not take is tried again. */
  releaseRetryMs: 5_000,
  /** Timers of one listing. */
  timersListDefault: 100,
  timersListMax: 1_000,
  /** How long the turns of an agent may take to end when an operator stops, parks or restarts it. */
  agentStopMs: 10_000,
  /** How long a drain waits for turns in flight. */
  drainMs: 20_000,
  /** The longest that an operator may have a drain wait instead. Source: behaviour §9.1. */
  drainMsMax: 5 * 60_000,
  /** How long it then waits for answers on their way to their channels; the others are sent at the next start. */
  drainAnswersMs: 2_000,
  /** Dead letters of one listing. */
  deadLettersListDefault: 50,
  deadLettersListMax: 500,
  /**
   * Bytes of the journal's disk that are kept free for the work that was accepted: with less, no message is accepted. Several transactions of
   * the store, each of which may write 64 messages of 256 KB.
   */
  storeFreeBytesMin: 33_554_432,
  /**
   * Bytes of the log before the journal's database after which its rows are written there, in one transaction: some 140 messages. A start after a crash reads
   * twice as much at most. From the second on, writes wait until that is done; where it fails, they are refused.
   */
  storeLogBytes: 131_072,
  storeLogBytesMax: 8_388_608,
  /** Rows kept of each log of the audit trail (some 0.5 KB each on the disk; a 128th more until the oldest go together), and anchors of the thousands before and among them. */
  auditRowsMax: 100_000,
  auditAnchorsMax: 1_000,
  /** Rows that one call of the store reads of the audit trail: some milliseconds. */
  auditRowsPerCall: 1_000,
  /** Rows about what was refused at the door in a minute, whoever was; the rest is one row. */
  doorRefusalsPerMinuteMax: 300,
  /** Rows of one type about one subject (a program that is refused, who asks nodes) in this time; the rest is one row. */
  auditRowsPerMinuteMax: 60,
  auditWindowMs: 60_000,
  /** Subjects that are told apart in that time: programs and clients have names, of which a configuration has dozens. */
  auditSubjectsPerMinuteMax: 200,
  /**
   * Questions in memory from one session to another, by one right and in one trace, that come within this time are one row with their number: a row each
   * would take half of what a question costs, and push everything else out of its log within seconds. What was gathered is lost with
   * the process, as those questions are.
   */
  auditGatherMs: 100,
  /** Rows that are gathered at a time; one more, and all are written. */
  auditGatheredMax: 64,
  /** Calls of the store that one listing makes before it says where to go on. */
  auditCallsMax: 20,
  /** Rows of one listing. */
  auditListDefault: 50,
  auditListMax: 1_000,
  /** What one answer about who wrote to whom holds: some megabytes. */
  whoEdgesMax: 1_000,
  whoTracesMax: 10_000,
  /** How often the heads of the logs are written outside of the store. */
  auditAnchorMs: 10 * 60_000,
  /** Anchors that one check is given. */
  auditAnchorsGivenMax: 100,
  /** Characters of one text of a row. */
  auditTextCharsMax: 1_000,
  /** Faults that one check lists; the count is always told. */
  auditFaultsMax: 100,
  deadLettersMax: 10_000,
  /** Rows of done envelopes that one write of the journal removes beside its own work; a backup lets them gather. */
  settledRowsPerWriteMax: 1_000,
  /** Envelopes that one transaction of the journal takes: about 5 ms of it, in which nobody else can write. */
  appendsPerWriteMax: 512,
  /** Characters of a path that a client names. */
  pathCharsMax: 4_096,
  /** Agents' environments open at a time (0.2 MB, 3 descriptors and 3.5 memory maps each). */
  openAgentStoresMax: 256,
  /** Rows of a session's transcripts that are looked through for one turn, the newest first. */
  turnRowsScanMax: 1_000,
  /** Rounds of tools in one turn of a model: each costs some of the records of a turn, of which there are `stepsPerTurnMax`. */
  modelRoundsMax: 100,
  /** Calls in one round; further ones are skipped. */
  callsPerRoundMax: 64,
  /** Calls that an answer tells of with `/verbose`, and characters of one: a line of a chat each. */
  toldCallsMax: 20,
  toldCallCharsMax: 200,
  /**
   * Characters of one result of a tool that a model is shown, some 12,000 tokens, and of all of one round; the least of each. The rest is left
   * out in the middle.
   */
  toolResultCharsShown: 50_000,
  roundResultsCharsShown: 150_000,
  toolResultCharsMin: 500,
  /** Characters of a message that stay in a conversation; the transcript has it whole. */
  messageCharsShown: 100_000,
  /**
   * Characters of a conversation, as a session's state keeps it, above which it is shortened: with an answer of `stepCharsMax`, a round of
   * results with each character escaped, and the summary it is below `stateCharsMax`.
   */
  conversationCharsMax: 350_000,
  /** Characters of a token where no provider has counted: 4 in English prose, fewer in code and results. */
  charsPerToken: 3,
  /** Tokens of prompt and tools before a provider has counted them: bootstrap files of 60,000 characters. */
  promptTokensReserved: 20_000,
  /** Size of the context where the config names none: that of the smallest models that hosted services offer for agents (config: `contextTokens`). */
  contextTokensDefault: 128_000,
  /** Compaction: tokens that stay free, tokens and turns that stay as they are. Source for the latter two: behaviour §5.6. */
  compactionReserveTokens: 16_384,
  compactionKeepTokens: 20_000,
  compactionTurnsKept: 3,
  /** How often one request that the provider finds too long is shortened: each time by half of its messages. */
  overflowCompactionsMax: 4,
  /** Characters (code points) of what `/compact` names as what matters. Source: behaviour §5.6. */
  compactFocusCharsMax: 800,
  /** Rounds in which a model writes down what matters before a compaction. */
  flushRoundsMax: 4,
  /** A summary: tokens that the model may write, characters that are kept, of one message that it is given, of a token of all of them. */
  summaryTokensMax: 4_096,
  summaryCharsMax: 32_000,
  summaryMessageCharsMax: 8_000,
  summaryCharsPerToken: 2,
  /** Rows that one turn may leave of summed-up conversations: none but a turn with hundreds of calls needs more, and the last summary has the others. */
  compactionsPerTurnMax: 16,
  /** Pruning: how full the context is when results are shortened, and cleared; the least characters; what is left; answers that stay. Source: behaviour §5.6. */
  pruneTrimFill: 0.3,
  pruneClearFill: 0.5,
  pruneResultCharsMin: 4_000,
  pruneResultCharsKept: 3_000,
  pruneAnswersKept: 3,
  /** How old a provider's cache of a conversation is when it is taken for gone. */
  promptCacheMs: 5 * 60_000,
  /** Characters of a bootstrap file that a model is shown, and of all of them (config: `agents.defaults.bootstrapMaxChars`, `bootstrapTotalMaxChars`). Source: behaviour §6.1. */
  bootstrapFileCharsMax: 20_000,
  bootstrapTotalCharsMax: 60_000,
  userFileCharsMax: 4_000,
  /** A bootstrap file of more bytes is read anew in each turn: a cell keeps the text of the others, nine at the most. */
  bootstrapKeptBytesMax: 65_536,
  /** The most that these two may be set to: what a model with a million tokens takes and still answers. */
  bootstrapCharsCeiling: 1_000_000,
  /** Skills: characters of their part of the prompt and of one description, levels and folders that are looked through. Source: behaviour §6.3. */
  skillsPromptCharsMax: 18_000,
  skillDescriptionCharsMax: 1_024,
  skillsDepthMax: 6,
  skillFoldersMax: 500,
  /** The least and the most that the configuration may say for their part of the prompt (`skills.limits.maxSkillsPromptChars`). */
  skillsPromptCharsMin: 500,
  skillsPromptCharsAllowed: 200_000,
  /** Bytes of a `SKILL.md`: a model reads it whole. A larger one is left out. */
  skillFileBytesMax: 1_048_576,
  /** Characters of its head, which is taken apart on the gateway's own thread for skills that agents share: a name, a description, what it needs. */
  skillHeadCharsMax: 16_384,
  /** A change may follow so soon on the one before that both have one time: a file that changed less than this ago is read again. */
  fileSettledMs: 2_000,
  /** Removals of tools that the log has at `info` already (agent, rule, tools): one that comes again is told at `debug`. */
  policyRemovalsToldMax: 1_024,
  /** Models that `tools.exec.applyPatch.allowModels` names. */
  patchModelsMax: 100,
  /** Names in each list of what a skill needs, and folders of skills in the config. */
  skillGatesMax: 32,
  skillRootsMax: 32,
  /** Keys of the config that are set, for what skills need of it: a config by hand has a few hundred. */
  skillConfigKeysMax: 2_000,
  /** Further turns of an exchange after a `sessions_send`, at the most. Source: behaviour §1.5. */
  exchangeTurnsMax: 5,
  /** Characters of each of the texts that an announce turn is given: the request, the first and the last answer. */
  announceTextCharsMax: 16_384,
  /** Rows of the session index that one filtered listing reads at the most, newest first. */
  sessionsScanRowsMax: 10_000,
  /** Days of which it is known what models took, today among them: a year to compare with, and a month more. */
  usageDaysKept: 400,
  /** Days that are summed unless a client names others. */
  usageDaysDefault: 30,
  /** Rows (a session on a day) that one read takes, some milliseconds of the store, and that one answer sums, some hundreds of milliseconds. */
  usageRowsPerRead: 500,
  usageRowsMax: 50_000,
  /** Sessions of one answer of `sessions.usage`: about 200 characters each. */
  usageSessionsMax: 1_000,
  /** Rows that one call of retention looks at, and of a transcript that it removes in one write: some milliseconds of the store. */
  retentionRowsMax: 500,
  /** Sessions that retention ends before it looks again whether an agent's are small enough: few go that need not. */
  retentionSessionsStep: 4,
  /** How often retention walks through the sessions, and how long after the start first: nothing goes by it that is younger than hours. */
  retentionEveryMs: 6 * 3_600_000,
  retentionFirstMs: 5 * 60_000,
  /** A mention pattern: characters, and steps of its compiled form; with the text below, one look costs at most some 30 ms. */
  mentionPatternCharsMax: 256,
  mentionPatternStepsMax: 500,
  /** Patterns of one agent. */
  mentionPatternsMax: 32,
  /** Characters of a message, from its beginning, that are searched for mentions: what most platforms allow in one message. */
  mentionTextCharsMax: 4_096,
  /** Messages of a group kept as context: by default, and at the most. Source: behaviour §2.7. */
  roomHistoryDefault: 50,
  roomHistoryMax: 1_000,
  /** Characters kept of one of them, and given of all together to one turn, the newest first. Source: the bounds of a digest, below. */
  roomRowCharsMax: 4_000,
  roomContextCharsMax: 64_000,
  /** Characters that the configuration says to the model of a group's agents, and skills that it names: each of its turns has them with its header. */
  roomPromptCharsMax: 8_000,
  roomSkillsMax: 100,
  /** New sessions that a main session's next turn is told of by name; one line each in its prompt. Of more, the oldest are counted. */
  sessionNoticesMax: 20,
  /** Tasks of a session that its card names; the result of `session_status` has more of them. */
  cardTasksMax: 10,
  /**
   * Sub-agents that `session_status` lists, other tasks, and characters of the name of each: with every one escaped the result stays below
   * `stepCharsMax`. How many there are it says in any case.
   */
  statusRunsMax: 100,
  statusTasksMax: 100,
  statusNameCharsMax: 100,
  /** Groups whose messages are kept; the one that was quiet longest is forgotten first. */
  roomsMax: 10_000,
  /** Replies that an agent was given ahead of the room's own record, as a digest; two full broadcasts. */
  roomDigestedIdsMax: 64,
  /** Agents of one broadcast, its rounds and its turns. Source: behaviour §2.8. */
  broadcastAgentsMax: 16,
  broadcastRoundsMax: 4,
  broadcastTurnsMax: 32,
  /** Characters of one sibling's reply in a digest, and of all. Source: behaviour §2.8. */
  digestReplyCharsMax: 4_000,
  digestCharsMax: 16_000,
  /** How long a broadcast waits for one agent's turn before it goes on without it; the turn itself goes on. */
  broadcastTurnMs: 30 * 60_000,
  /** Messages of one pair of bots in a window, the window, and how long the pair is then not heard. Source: behaviour §2.7. */
  botLoopEvents: 20,
  botLoopWindowMs: 60_000,
  botLoopCooldownMs: 60_000,
  /** The most that an operator may set for the messages of a pair: each is a number in memory. */
  botLoopEventsMax: 1_000,
  /** Pairs of bots that are remembered; the one that was quiet longest is forgotten first. */
  botPairsMax: 10_000,
  /** Losing bindings that the text of one route explanation lists; the count is always told. */
  explainLossesMax: 200,
  /** Sessions of one `sessions.preview`, messages of each and characters of a message, unless asked otherwise and at the most. */
  previewKeysMax: 64,
  previewMessagesDefault: 12,
  previewMessagesMax: 50,
  previewCharsDefault: 240,
  previewCharsMax: 2_000,
  /** Bytes of a file of an agent's workspace that a client reads. */
  agentFileBytesMax: 1_048_576,
  /** Rows of the presence list, and how long one that left stays in it. Source: behaviour §9.3. */
  presenceRowsMax: 200,
  presenceGoneMs: 300_000,
  /** Changes of the presence list within it are told together: with many clients each of them costs one event a client. */
  presencePaceMs: 1_000,
  /** The newest sessions that `health` and `status` look through for the last ones of each agent, and how many of these they tell. */
  censusRecentMax: 200,
  healthRecentMax: 5,
  /** Delay of the main thread above which `health` calls it degraded: the bound of promise P1. */
  loopDelayDegradedMs: 50,
  /** Size of the log file above which a new part begins, and parts kept. Source: behaviour §1.8. */
  logFileBytesMax: 100 * 1024 * 1024,
  logFilesMax: 5,
  /** Lines and bytes of one reading of the log's end, unless asked otherwise and at the most: 1 MB is about 3 ms of the main thread. */
  logTailLinesDefault: 500,
  logTailLinesMax: 5_000,
  logTailBytesDefault: 250_000,
  logTailBytesMax: 1_000_000,
  /** Below it a reading could not hold one record. */
  logTailBytesMin: 16_384,
  /** How long a person at a terminal waits for an answer before it is looked whether a command waits for them: most answers begin sooner. */
  approvalLookMs: 2_000,
  /** How long the command line waits for the gateway's answer to one request. */
  clientRequestMs: 30_000,
  /** How long the command line waits for a gateway to be ready, or gone, beyond its drain; and how often it looks. */
  clientStartMs: 60_000,
  clientLookMs: 100,
  /** Lines that `cloister logs` shows at first, and how often it asks for more. Source: behaviour §9.1. */
  logsLinesDefault: 200,
  logsEveryMs: 1_000,
  /** How often a command that follows tries to reach a gateway that went, and the longest pause between two tries: a restart takes less. */
  clientReconnectsMax: 8,
  clientReconnectMsMax: 10_000,
  /** Messages of before that `cloister chat` shows at first, and lines that it remembers as typed. */
  chatHistoryMessages: 6,
  chatHistoryLines: 500,
  /** The first pause of a chat that lost its gateway. */
  clientReconnectMsFirst: 250,
  /** Characters below which `cloister security audit` calls a secret short: random letters and digits of this length have 119 bits. */
  secretCharsMin: 20,
  /** Agents and sessions that `cloister status` shows one by one: one screen. */
  statusAgentsMax: 12,
  statusSessionsMax: 3,
  /** How long `cloister doctor` waits for one answer, and for the store to be read; what is slower is told as such. */
  doctorAnswerMs: 5_000,
  doctorStoreMs: 120_000,
  /** Free space below which the gateway is about to refuse messages (one flush of the store and a log part), and below which to act. */
  doctorFreeBytesMin: 128 * 1024 * 1024,
  doctorFreeBytesLow: 1024 * 1024 * 1024,
  /** Events that the command line keeps unread; the bound of a client that falls behind. */
  clientEventsMax: 10_000,
  /** One configuration file: bytes, and levels of nesting (the deepest setting has about twelve). */
  configBytesMax: 1_048_576,
  configNestingMax: 64,
  /** How long a configuration file is left alone before an edit counts: editors write in several steps (config: `gateway.reload.debounceMs`). */
  configDebounceMs: 300,
  configDebounceMsMax: 60_000,
  /** From this size on a change that halves the file has to say that it is meant: below it two lines are half of the file. */
  configGuardCharsMin: 512,
  /** Places of a change of the configuration that are shown, and characters of each side: more than a person reads before a decision. */
  configChangesShownMax: 200,
  configChangeCharsMax: 2_000,
  /** Changes of the configuration that agents propose and nobody has decided: of one agent, and in all, so that one cannot crowd out others. */
  configProposalsPerAgentMax: 8,
  configProposalsMax: 64,
  /** Keys of one proposal in each of its two lists, characters of a key, of all it says, and of its reason: a person reads all of it. */
  configProposalKeysMax: 50,
  configProposalKeyCharsMax: 256,
  configProposalCharsMax: 16_384,
  configProposalReasonCharsMax: 1_000,
  /** Nobody has decided a proposal for so long: it goes. Within a week somebody has looked at the page. */
  configProposalAgeMs: 7 * 24 * 3_600_000,
  /** Changes of the configuration by one client in `configWritesMs`, of each kind. Source: behaviour §1.2. */
  configWritesMax: 30,
  configWritesMs: 60_000,
  /** How often files are looked at where the system cannot watch their folder. */
  configPollMs: 5_000,
  /** How long a file that is written all the time waits to be read, if `gateway.reload.debounceMs` does not say longer. */
  configChangesMsMax: 5_000,
  /** `$include` inside included files, and files in all. Source for the depth: behaviour §1.1. */
  configIncludeDepthMax: 10,
  configFilesMax: 100,
  /** Bytes of a file that the file tools read, write or change: the tools' thread holds it whole, twice while it is changed. */
  toolFileBytesMax: 4_194_304,
  /** What one call of `read` gives: what a model can make use of, and well below `stepCharsMax`. */
  toolReadCharsMax: 65_536,
  toolReadLinesMax: 2_000,
  /** Entries of one call of `ls`, edits of one call of `edit`, files of one patch. */
  toolListMax: 1_000,
  toolEditsMax: 100,
  toolPatchFilesMax: 100,
  /**
   * Lines and characters that are compared to find the places of one file's hunks, which other agents' files wait for: a part of a second. Hunks that
   * stand in the file as they are written take no more than it has, twice; one with other blanks takes the rest of the file again.
   */
  toolPatchStepsMax: 20_000_000,
  /** Calls of all agents that the tools' thread may have in hand; a further one is refused as `busy`. */
  toolHostCallsMax: 256,
  /** Of these, of one agent: three more agents find places beside one that takes all it can. */
  toolHostCallsOfAgentMax: 64,
  /** Characters of an address that `web_fetch` asks for: servers refuse longer ones. */
  webUrlCharsMax: 2_048,
  /** Pages of all agents that are fetched at once, each of which is held whole; a further call is refused as `busy`. */
  webFetchesMax: 16,
  /** Bytes of one page after it was unpacked, at the most that a config may name: the tools' thread parses it in a part of a second. */
  webBytesMax: 10_000_000,
  /** Characters of one page that a result may have: with every one escaped it stays below `stepCharsMax`. */
  webCharsMax: 100_000,
  /** The whole of one fetch with its redirects, at the most that a config may name: a turn waits for it. */
  webTimeoutMsMax: 120_000,
  webRedirectsMax: 10,
  /** Pages that are kept for the next call, and their characters in all (two bytes each). */
  webCachePagesMax: 128,
  webCacheCharsMax: 8_388_608,
  /** Collections of one agent's memory, and characters of the name of one. */
  memoryCollectionsMax: 32,
  memoryNameCharsMax: 64,
  /** Files and characters of one agent's memory that are indexed: years of notes. More are named as left out. */
  memoryFilesMax: 5_000,
  memoryCharsMax: 50_000_000,
  /** Names that are looked at in one collection, and folders inside each other: what is deeper or behind them is no folder of notes. */
  memoryEntriesMax: 20_000,
  memoryDepthMax: 16,
  /** Characters of a piece that is found as one, some 400 tokens, and from how many on a heading begins the next. Source: the peer's defaults. */
  memoryPieceChars: 1_600,
  memoryPieceCharsMin: 400,
  /** How long one search may look for changed files before it answers from what is indexed. Source: behaviour §6.5. */
  memorySyncMs: 4_000,
  memoryQueryCharsMax: 1_000,
  /** Words of a query that are looked for. */
  memoryQueryWordsMax: 32,
  memoryResultsDefault: 6,
  memoryResultsMax: 20,
  /** Characters of one hit. Source: behaviour §6.5. */
  memorySnippetChars: 700,
  /**
   * Vectors of one agent's memory, and numbers of one: the largest models of OpenAI and Google give 3,072. A search looks at all of them, some
   * 10 ms for each thousand; pieces beyond are found by their words alone.
   */
  memoryVectorsMax: 20_000,
  memoryVectorDimsMax: 4_096,
  /** Texts of one call for vectors: Google takes 100, with 1,600 characters each it is a request of 100 KB. */
  memoryEmbedTextsMax: 64,
  /** How long one call for vectors may take: in a search all of them together, and one that an operator's `memory index` makes. Source: behaviour §6.5 for the first. */
  memoryEmbedMs: 4_000,
  memoryEmbedIndexMs: 60_000,
  /** After a failure searches go by words for so long: each would wait for a provider that is down. */
  memoryEmbedRestMs: 60_000,
  /** Agents whose last failure of a call for vectors is remembered. */
  memoryFailuresMax: 1_000,
  /** Index files of agents that are open at once: each has a cache of 2 MB. */
  memoryOpenMax: 8,
  /** Elements of a page inside each other: what no browser draws is a trap, and the parser's time grows with it. */
  webDepthMax: 1_000,
  /** A file tool that takes longer is answered for: files of some megabytes take milliseconds, also on a network disk. */
  toolFileMs: 60_000,
  /** Characters of one call of `exec` or `process`, which the main thread parses: a script as long as a page or ten, and no file. */
  execCallCharsMax: 65_536,
  execCommandCharsMax: 32_768,
  /** Variables that one call may set. */
  execVariablesMax: 64,
  /** Commands at work: of one agent, and in all; each is a process with its output held in memory. */
  execPerAgentMax: 16,
  execMax: 64,
  /** Ended commands whose output can still be read, of one agent and in all, and for how long. */
  execEndedPerAgentMax: 16,
  execEndedMax: 128,
  execEndedAgeMs: 1_800_000,
  /** Characters of output that are held of a command at work; the oldest go first. Of an ended one: `execOutputShownMax`. */
  execOutputCharsMax: 200_000,
  /** Characters of output in one result: what a model can make use of. */
  execOutputShownMax: 30_000,
  /** Characters after which a command is ended: a program that writes without end would keep the tools' thread from everybody's files. */
  execOutputTotalMax: 67_108_864,
  /** Bytes of input that a command has not read yet. */
  execInputBytesMax: 65_536,
  /** How long a call waits for a command before it goes on in the background (config: `tools.exec.backgroundMs`). */
  execYieldMs: 10_000,
  execYieldMsMax: 600_000,
  /** How long a command may run (config: `tools.exec.timeoutSec`), and the longest that may be asked for. */
  execTimeoutMs: 1_800_000,
  execTimeoutMsMax: 86_400_000,
  /** How long one `poll` waits for news. */
  execPollMsMax: 60_000,
  /** How long the streams of an ended command may stay open, by something that left its process group. */
  execStreamsMs: 500,
  /** Characters of a command's output that its session is told when it ends in the background: enough to see how it went; `process log` has the rest. */
  execNewsCharsMax: 2_000,
  /** So long after the longest that a command may run nobody has told of its end: its session is told that. */
  execNewsLateMs: 600_000,
  /** A killed command is gone in milliseconds, unless the system holds it in a call, as a dead network drive does; nobody waits longer for one. */
  execEndMs: 5_000,
  /** Of one command in bubblewrap: processes (of a gateway that is not root), bytes of data each, bytes of one file, of each temporary file system. */
  execBoxProcesses: 256,
  execBoxMemoryBytes: 2_147_483_648,
  execBoxFileBytes: 1_073_741_824,
  execBoxTmpBytes: 268_435_456,
  /** Commands that wait for an operator: of one agent, and in all; how long they wait, and how long a call does whose turn an operator began. */
  execApprovalsPerAgentMax: 16,
  execApprovalsMax: 128,
  execApprovalAgeMs: 86_400_000,
  execApprovalWaitMs: 120_000,
  /** How long a question to a sandbox backend may take: one namespace, one empty command. */
  execProbeMs: 10_000,
  /** Entries of `mcp.servers`, and characters of their names: a name of a tool has 64 at some providers. */
  mcpServersMax: 64,
  mcpServerNameCharsMax: 24,
  mcpToolNameCharsMax: 64,
  /** Connections to MCP servers of all agents: each may be a process of 50 MB or more. Beyond it one that is idle gives way. */
  mcpConnectionsMax: 256,
  /** Tools of one server that agents are told of, and characters of what is said of one: a model reads all of it with each call. */
  mcpToolsMax: 256,
  mcpToolTextCharsMax: 4_096,
  mcpToolSchemaCharsMax: 32_768,
  /** Bytes of one message of a server, before anything parses it. */
  mcpMessageBytesMax: 4_194_304,
  /** Characters of the result of one call: below `stepCharsMax`, with room for how JSON writes them. */
  mcpResultCharsMax: 100_000,
  /** Calls of all agents in hand, and of one; a further one is refused as `busy`. */
  mcpCallsMax: 256,
  mcpCallsOfAgentMax: 64,
  /** Times of MCP servers (config: `mcp.servers.*`, `mcp.sessionIdleTtlMs`), in milliseconds. */
  mcpTimeMsMin: 1,
  mcpConnectMs: 30_000,
  mcpConnectMsMax: 300_000,
  mcpRequestMs: 60_000,
  mcpRequestMsMax: 3_600_000,
  mcpIdleMs: 600_000,
  mcpIdleMsMax: 86_400_000,
  /** How long the list of a turn's tools waits for servers that have not told theirs: a server that hangs costs one turn no more, and further ones nothing. */
  mcpListMs: 10_000,
  /** Before a server that failed is tried again: doubled with each failure up to the bound, half of it by chance. */
  mcpRetryMs: 1_000,
  mcpRetryMsMax: 60_000,
  /** How long a server's process has to end after its input is closed, and again after `SIGTERM`; and who left its group, to let go of its pipes. */
  mcpEndMs: 1_000,
  /** How long a call waits for what its server carries out as a task, before the turn goes on without it: as long as `exec` does. */
  mcpTaskWaitMs: 10_000,
  /** Between two questions for the state of such a task, when its server does not say, and whatever it says. */
  mcpTaskPollMs: 1_000,
  mcpTaskPollMsMin: 200,
  mcpTaskPollMsMax: 60_000,
  /** How long such a question is waited for: an answer that was lost with its stream is noticed by nothing else. */
  mcpTaskStateMs: 10_000,
  /** How long the name of a task that nobody waits for any more is waited for: by that alone it can be cancelled. And how often its server is asked to. */
  mcpTaskNamedMs: 600_000,
  mcpTaskCancelsMax: 10,
  /** How long such a task may take, and characters of the name that its server gives it. */
  mcpTaskMsMax: 86_400_000,
  mcpTaskIdCharsMax: 512,
  /** Of the kit for authors of actors: how long, in real time, what was said may take to be handled; a message whose turns hold the loop is given up by then. */
  kitSettleMs: 60_000,
  /** Points of one conversation at which it is crashed: each is a run of all of it. */
  kitPointsMax: 400,
  /** Times at which something is due that the clock of the kit may pass in one go: a timer of each second for some hours. */
  kitDueMax: 20_000,
} as const;

/** The bounds as numbers: tests and an operator may set others. */
export type Limits = { readonly [K in keyof typeof limits]: number };
