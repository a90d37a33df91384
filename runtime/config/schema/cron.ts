/** `cron`: what jobs have in common. Source: behaviour §5.7. */
import * as z from "zod";
import { key, later } from "./note.ts";
import { anyMap, anyValue, filledText, secret } from "./values.ts";

export const cron = z
  .looseObject({
    webhookToken: key(
      "Sent as a bearer token with answers of jobs that go to a URL. Default: none.",
      secret().optional(),
    ),
    webhookAllowedHosts: key(
      "Hosts, as `host` or `host:port`, that answers of jobs may go to although they are this machine or in a private network.",
      z.array(filledText()).max(100).default([]),
    ),
    enabled: key(
      "Whether jobs happen at their times. Off, they are kept, `cloister cron list` shows them as off, and `cloister cron run` runs one by hand; heartbeats have a switch of their own.",
      z.boolean().default(true),
    ),
    store: later("another place for jobs", "Where jobs are kept.", anyValue()),
    maxConcurrentRuns: later("bounds of jobs", "Runs at a time: see `lanes.cron`.", anyValue()),
    retry: later("bounds of jobs", "Attempts of a failed run.", anyMap().optional()),
    webhook: later("one URL for all jobs", "Older form of a job's own URL.", anyValue()),
    sessionRetention: later(
      "retention of runs",
      "How long sessions of runs are kept: see `session.maintenance`.",
      anyValue(),
    ),
    runLog: later("retention of runs", "How long the log of a job is.", anyMap().optional()),
  })
  .prefault({});
