/**
 * Reconciliation of a settlement day: our ledger against the switch's file and the merchants'
 * statements. Each difference is a work item; one that is gone closes its item; a rerun of the same
 * books changes nothing. What a run does is in the audit log before it is done.
 */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { AuditLog } from '../audit/log.ts';
import { compareDay } from './compare.ts';
import { DIFFERENCE_CLASSES, type Difference, keyOf } from './model.ts';
import { readMerchantDay, readSwitchDay } from './sources.ts';
import { type ItemChanges, type ReconciliationStore, subjectOf } from './store.ts';

/** Subjects that one audit record names; each record is a line of the chain. */
const AUDIT_SUBJECTS_MAX = 200;

/** What a run stands on. */
export type ReconciliationPorts = {
  readonly store: ReconciliationStore;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Fields 32 and 33: whose file it is. */
  readonly acquirerId: string;
  /** `<dataDir>/switch/files`. */
  readonly switchFolder: string;
  /** `<dataDir>/gateway/settlement`. */
  readonly statementFolder: string;
};

/** What a run found. */
export type ReconciliationReport = {
  readonly settlementDate: string;
  /** By class, `matched` among them. */
  readonly counts: Readonly<Record<string, number>>;
  /** Those that no person has accepted. */
  readonly open: readonly Difference[];
  readonly accepted: readonly Difference[];
  readonly changes: ItemChanges;
};

/** Runs it. @throws GatewayError `ERR_SETTLEMENT_FILE` for a missing or wrong file. */
export async function reconcile(
  ports: ReconciliationPorts,
  wanted: {
    readonly settlementDate: string;
    readonly actor: string;
    /** Merchants' own copies; absent: the statements that were made at the close. */
    readonly statements?: readonly string[] | undefined;
  },
): Promise<ReconciliationReport> {
  const { store, acquirerId } = ports;
  const { settlementDate, actor } = wanted;
  const told = readSwitchDay(ports.switchFolder, { settlementDate, acquirerId });
  const merchant = readMerchantDay(ports.statementFolder, settlementDate, wanted.statements);
  const local = await store.localRecords(settlementDate);
  const known = new Set(local.map(keyOf));
  const traces = await store.traces(told.lines.filter((line) => !known.has(keyOf(line))));
  const { matched, differences } = compareDay({
    ...{ local, traces, switchLines: told.lines, reversedLater: told.reversedLater },
    merchant: merchant.records,
  });
  const counts = countsOf(matched, differences);
  const sources = [told.file, ...merchant.files];
  const run = { settlementDate, differences, counts, sources };
  const changes = await store.apply(ports, run, (planned) =>
    audit(ports, { actor, settlementDate, counts }, planned),
  );
  const accepted = new Set(changes.accepted);
  const isAccepted = (row: Difference): boolean => accepted.has(subjectOf(settlementDate, row));
  return {
    settlementDate,
    counts,
    open: differences.filter((row) => !isAccepted(row)),
    accepted: differences.filter(isAccepted),
    changes,
  };
}

function countsOf(
  matched: number,
  differences: readonly Difference[],
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { matched };
  for (const name of DIFFERENCE_CLASSES) counts[name] = 0;
  for (const { class: name } of differences) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

async function audit(
  { audit: log, clock }: ReconciliationPorts,
  run: {
    readonly actor: string;
    readonly settlementDate: string;
    readonly counts: ReconciliationReport['counts'];
  },
  { opened, closed, accepted }: ItemChanges,
): Promise<void> {
  const { actor, settlementDate: subject, counts } = run;
  const base = { atMs: clock.nowMs(), actor, subject };
  const facts = { counts, opened: opened.length, closed: closed.length, accepted: accepted.length };
  await log.append({ ...base, action: 'reconcile', facts });
  for (const [action, subjects] of [
    ['workItem.open', opened],
    ['workItem.settled', closed],
  ] as const) {
    for (let from = 0; from < subjects.length; from += AUDIT_SUBJECTS_MAX) {
      const items = subjects.slice(from, from + AUDIT_SUBJECTS_MAX);
      await log.append({ ...base, action, facts: { items } });
    }
  }
}
