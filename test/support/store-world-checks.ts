/** What the store must have after a crash, given what its calls had answered before (`store-world.ts`). */
import { auditLogs } from "../../runtime/kernel/audit-types.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { Pending } from "../../runtime/store/port.ts";
import type { Known, Mail, StoreWorld } from "./store-world.ts";

/** Settles what was unknown: from here on it is what the store says. */
export async function checkStore(world: StoreWorld, pending: Pending): Promise<void> {
  const attempts = new Map(pending.envelopes.map((row) => [row.header.id, row.attempts]));
  const outbound = new Set(pending.outbound.map(({ envelopeId }) => envelopeId));
  const letters = await world.store.deadLetters({ limit: 10_000 });
  const dead = new Map(letters.rows.map((row) => [row.header.id, row]));
  const counted = Object.values(await world.store.deadLetterCounts()).reduce((sum, count) => sum + count, 0);
  if (counted !== letters.total || counted !== dead.size)
    world.problems.push(`${dead.size} dead letters are listed and ${counted} counted`);
  await checkSessions(world);
  for (const mail of world.mails) {
    const { id } = mail.envelope.header;
    checkMail(world, mail, { attempts: attempts.get(id), isOutbound: outbound.has(id), isDead: dead.has(id) });
  }
  // A replay is its letter, or the new envelope, and never both or neither.
  const stored = new Set([...world.mails].filter(({ appended }) => appended === "yes").map(({ replays }) => replays));
  for (const letter of world.mails) {
    const { id } = letter.envelope.header;
    if (letter.replayed === "no") continue;
    letter.replayed = stored.has(letter) ? "yes" : "no";
    if (dead.has(id) === stored.has(letter))
      world.problems.push(
        `the letter ${id} is ${dead.has(id) ? "replayed and still there" : "gone and was not replayed"}`,
      );
  }
  checkOrder(world, pending);
  await checkAudit(world);
}

/** Every accepted message is in the audit trail once and nothing else is, and the trail is whole. */
async function checkAudit(world: StoreWorld): Promise<void> {
  for (const log of auditLogs) {
    const { faults } = await world.store.auditCheck(log);
    if (faults.length > 0) world.problems.push(`the audit log ${log} has ${JSON.stringify(faults)}`);
  }
  const { rows } = await world.store.auditPage("traffic", { limit: limits.auditRowsPerCall, kind: "message" });
  const told = rows.map(({ envelopeId }) => envelopeId ?? "");
  const accepted = [...world.mails]
    .filter(({ appended }) => appended === "yes")
    .map(({ envelope }) => envelope.header.id);
  if (told.toSorted().join() !== accepted.toSorted().join())
    world.problems.push(`the audit trail tells of ${told.join()}, accepted were ${accepted.join()}`);
}

interface Found {
  /** Present when the envelope is pending. */
  readonly attempts: number | undefined;
  readonly isOutbound: boolean;
  readonly isDead: boolean;
}

function checkMail(world: StoreWorld, mail: Mail, { attempts, isOutbound, isDead }: Found): void {
  const { id, replyRoute } = mail.envelope.header;
  const wrong = (what: string): void => void world.problems.push(`${id} ${what}`);
  const isPending = attempts !== undefined;
  if (mail.appended === "no") {
    if (isPending || isOutbound || isDead) wrong("was refused and is there");
    return;
  }
  const isDone = mail.committed === "yes";
  if (mail.appended === "maybe") {
    mail.appended = isPending ? "yes" : "no";
    if (isOutbound || isDead) wrong("was never answered as stored and has ended");
  }
  if (mail.appended === "no") return;
  if (isPending && isDead) wrong("is pending and a dead letter");
  if (mail.buried === "maybe") mail.buried = isDead ? "yes" : "no";
  const mayBeGone = mail.replayed !== "no";
  if (mail.buried === "yes" && !isDead && !mayBeGone) wrong("was buried and is no dead letter");
  if (isDone && isPending) wrong("was committed and is pending");
  if (isDone && isDead) wrong("was committed and is a dead letter");
  if (!isDone && mail.buried === "no" && !isPending) wrong("was answered as stored and is lost");
  const isWaiting = isDone && replyRoute.type === "channel";
  if (isWaiting && mail.left === "no" && !isOutbound) wrong("has an answer that was not sent and is gone");
  if (isOutbound && (!isWaiting || mail.left === "yes")) wrong("has an answer to send that has left or never was");
  if (attempts === undefined) return;
  if (attempts < mail.attempts || attempts > mail.tries)
    wrong(`has ${attempts} deliveries, ${mail.attempts} were counted and ${mail.tries} tried`);
  mail.attempts = attempts;
}

/** Transcripts, their index and the labels; says of each commit that was under way whether it happened. */
async function checkSessions(world: StoreWorld): Promise<void> {
  const keys = new Set([...world.mails].map(({ envelope }) => envelope.header.sessionKey));
  for (const key of keys) {
    const agentId = key.split(":")[1] ?? "";
    const { rows, sessionId, total } = await world.store.history(agentId, key, 10_000, 0);
    const found = rows.map(({ text }) => text);
    const committed = commitsOf(world, key);
    const open = [...world.mails].filter(
      (mail) => mail.committed === "maybe" && mail.envelope.header.sessionKey === key,
    );
    for (const mail of open) {
      const happened = found.at(-1) === `answer to ${mail.envelope.header.id}`;
      mail.committed = happened ? "yes" : "no";
      if (happened) committed.push(mail);
    }
    const expected = committed.flatMap(({ envelope }) => [envelope.body, `answer to ${envelope.header.id}`]);
    if (JSON.stringify(found) !== JSON.stringify(expected))
      world.problems.push(
        `the transcript of ${key} is ${JSON.stringify(found)}, its commits ${JSON.stringify(expected)}`,
      );
    const row = await world.store.session(key);
    if (total > 0 && (row?.messages !== total || row.sessionId !== sessionId))
      world.problems.push(`the index of ${key} says ${row?.messages ?? "nothing"}, its transcript has ${total}`);
  }
  for (const [key, entry] of world.labels) {
    const label = (await world.store.session(key))?.label;
    const mayBe: readonly (string | undefined)[] = entry.known === "yes" ? [entry.text] : [entry.text, entry.before];
    if (!mayBe.includes(label)) world.problems.push(`${key} has the label ${label ?? ""}, it was ${entry.text}`);
    if (label === undefined) world.labels.delete(key);
    else world.labels.set(key, { text: label, known: "yes" satisfies Known, before: undefined });
  }
}

/** What a session's turns have committed, in order. */
export function commitsOf(world: StoreWorld, sessionKey: string): Mail[] {
  let mails = world.committed.get(sessionKey);
  if (mails === undefined) world.committed.set(sessionKey, (mails = []));
  return mails;
}

/** Pending is in the order of acceptance: a session's mail is not overtaken by a crash. */
function checkOrder(world: StoreWorld, { envelopes }: Pending): void {
  const places = envelopes.map(({ header }) => world.order.lastIndexOf(header.id));
  if (places.some((at, index) => index > 0 && at < (places[index - 1] ?? 0)))
    world.problems.push("what is pending is not in the order of its acceptance");
}
