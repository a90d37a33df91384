/** The audit trail on the page: read when somebody asks for it, and no sooner. */
import type { WorkDeps } from "./work.ts";
import { type Audit, type AuditFilter, parseAudit, parseVerdict } from "./wire-audit.ts";

export interface AuditActions {
  /** The newest rows that fit. */
  readonly show: (filter: AuditFilter) => void;
  /** The rows after those that are shown. */
  readonly more: () => void;
  readonly verify: () => void;
}

const listed = 20;

export function openAudit({
  request,
  state,
  apply,
  notify,
}: Pick<WorkDeps, "request" | "state" | "apply" | "notify">): AuditActions {
  const set = (change: Partial<Audit>): void => apply((now) => ({ ...now, audit: { ...now.audit, ...change } }));
  const read = async (filter: AuditFilter, cursor?: string): Promise<void> => {
    const { agentId, kind } = filter;
    const params = {
      limit: listed,
      ...(agentId === undefined ? {} : { agentId }),
      ...(kind === undefined ? {} : { kind }),
      ...(cursor === undefined ? {} : { cursor }),
    };
    const reply = await request("audit.list", params);
    // Another filter was chosen meanwhile, or these rows are there already.
    const { audit } = state();
    if (audit.filter !== filter || (cursor !== undefined && audit.cursor !== cursor)) return;
    if (!reply.ok) return notify(`The audit trail could not be read: ${reply.error.message}`);
    const { rows, cursor: next } = parseAudit(reply.payload);
    set({ rows: cursor === undefined ? rows : [...audit.rows, ...rows], cursor: next, isShown: true });
  };
  return {
    show(filter) {
      set({ filter });
      void read(filter);
    },
    more() {
      const { filter, cursor } = state().audit;
      if (cursor !== undefined) void read(filter, cursor);
    },
    verify() {
      if (state().audit.isVerifying) return;
      set({ isVerifying: true, verdict: undefined });
      void request("audit.verify", {}).then((reply) => {
        if (!reply.ok) notify(`The audit trail could not be checked: ${reply.error.message}`);
        set({ isVerifying: false, verdict: reply.ok ? parseVerdict(reply.payload) : undefined });
      });
    },
  };
}
