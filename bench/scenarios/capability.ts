/**
 * What it costs the kernel to check that a message may be sent and to stamp who sent it, beside what signing it would cost. Check and stamp are the functions that the
 * kernel calls for each message; "a whole send" is all that it does from the record of a frame to what the journal is to keep: form, sequence, turn, right, bounds, chain,
 * stamp. A stamp needs no signature, since the kernel knows the port that a frame came from.
 */
import { createHmac, generateKeyPairSync, randomBytes, sign, timingSafeEqual, verify } from "node:crypto";
import { makeEntry } from "../../runtime/kernel/agent-entry.ts";
import { makeEnvelope } from "../../runtime/kernel/admit.ts";
import type { EnvelopeHeader } from "../../runtime/kernel/envelope.ts";
import { up } from "../../runtime/kernel/frames.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { admissionOf, checkSend } from "../../runtime/kernel/sends.ts";
import type { KernelState, Turn } from "../../runtime/kernel/state.ts";
import { fromOperator, makeRights, makeSettings, nowMs, openKernelHere, right, specOf } from "../kernel-here.ts";
import { atLeast, atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { makeRatios, makeSpread } from "../spread.ts";

const roundsDefault = 40;
const warmUpRounds = 10;
const text = "x".repeat(200);
const checkUsMax = 1;
const signingMin = 50;

const header: EnvelopeHeader = {
  ...fromOperator,
  id: "000000001-0000-be9c0000",
  trace: "000000001-0000-be9c0000",
  runId: "000000001-0000-be9c0000",
  acceptedAtMs: nowMs,
};

export async function run({ rounds = roundsDefault }: ScenarioOptions): Promise<ScenarioReport> {
  const subjects = [
    { what: "check and stamp", batch: 20_000, measure: makeCheck() },
    { what: "a whole send", batch: 10_000, measure: makeSend() },
    { what: "HMAC-SHA-256, made and checked", batch: 2_000, measure: makeHmac() },
    { what: "Ed25519, signed and verified", batch: 200, measure: makeSignature() },
  ].map((subject) => ({ ...subject, samplesUs: new Array<number>() }));
  for (let round = 0; round < warmUpRounds + rounds; round++)
    for (const { batch, measure, samplesUs } of subjects) {
      const us = (measure(batch) * 1_000) / batch;
      if (round >= warmUpRounds) samplesUs.push(us);
    }
  const own = subjects[0]?.samplesUs ?? [];
  const rows = subjects.map(({ what, samplesUs }) => ({
    what,
    "µs each": makeSpread(samplesUs),
    "ratio to check and stamp": makeRatios(samplesUs, own),
  }));
  return {
    name: "capability",
    rows,
    targets: [
      atMost("capability check and stamp, p90", rows[0]?.["µs each"].p90 ?? Number.NaN, checkUsMax, "µs"),
      atLeast(
        "signing and verifying to it, p10",
        rows[3]?.["ratio to check and stamp"].p10 ?? Number.NaN,
        signingMin,
        "times",
      ),
    ],
  };
}

/** Gives the milliseconds that so many took. */
type Measure = (times: number) => number;

/** A part of the kernel's state: what the two functions look at. */
function makeCheck(): Measure {
  const agent = makeEntry(specOf("main"));
  agent.slots = new Map([[1, right.id]]);
  const turn = { mail: { envelope: { header } } } as Turn;
  const part: Partial<KernelState> = {
    settings: makeSettings(),
    pairings: makeRights(),
    chains: new Map(),
    mail: new Map(),
    runs: new Map(),
  };
  const k = part as KernelState;
  const record = { op: up.send, ref: 1, turn: 1, slot: 1, num: 0, a: "agent:raul:main", b: "0", c: text };
  return (times) => {
    const fromMs = performance.now();
    for (let n = 0; n < times; n++) {
      const checked = checkSend(k, agent, turn, record);
      if ("code" in checked) throw new Error(`Checking a send: found ${checked.code}, wanted the right.`);
      const request = { via: checked.id, sessionKey: record.a, sourceTool: "request", body: record.c };
      const { header: stamped } = makeEnvelope(k, admissionOf(k, agent, header, request, "send"), nowMs);
      if (stamped.via !== right.id) throw new Error(`Stamping: found ${stamped.via}, wanted ${right.id}.`);
    }
    return performance.now() - fromMs;
  };
}

function makeSend(): Measure {
  const here = openKernelHere();
  return (times) => {
    here.begin();
    let ms = 0;
    for (let sent = 0; sent < times; sent += limits.frameRecordsMax) {
      const fromMs = performance.now();
      here.send(Math.min(limits.frameRecordsMax, times - sent), text);
      ms += performance.now() - fromMs;
      here.store("duplicate");
    }
    return ms;
  };
}

/** What a stamp would be that has to be believed without the port. */
const stamp = (n: number): Buffer => Buffer.from(JSON.stringify({ ...header, n }));

function makeHmac(): Measure {
  const key = randomBytes(32);
  const seal = (of: Buffer): Buffer => createHmac("sha256", key).update(of).digest();
  return (times) => {
    const fromMs = performance.now();
    for (let n = 0; n < times; n++) {
      const stamped = stamp(n);
      if (!timingSafeEqual(seal(stamped), seal(stamped))) throw new Error("Checking a seal: found another one.");
    }
    return performance.now() - fromMs;
  };
}

function makeSignature(): Measure {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return (times) => {
    const fromMs = performance.now();
    for (let n = 0; n < times; n++) {
      const stamped = stamp(n);
      if (!verify(null, stamped, publicKey, sign(null, stamped, privateKey)))
        throw new Error("Verifying a signature: found it wrong.");
    }
    return performance.now() - fromMs;
  };
}
