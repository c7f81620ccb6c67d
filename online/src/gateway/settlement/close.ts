/**
 * The close of a settlement day, in steps that may be killed anywhere and run again: what the day
 * takes is fixed by its first durable step, so every rerun makes the same batches and the same
 * files, byte for byte.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@tapnpay/protocol/bytes';
import { GatewayError } from '../errors.ts';
import { cutOffAtMs, daysAfter, isSettlementDay, settlementDayAt } from '../settlement-date.ts';
import type { BatchOwner, SettlementBatch } from './batch.ts';
import { fileError } from './csv.ts';
import { readStatement } from './statement.ts';
import type { SettlementDay, SettlementStore, StatementFact } from './store.ts';

/** Time after the cut-off in which payments of the day come to their end before it is closed. */
export const CLOSE_AFTER_MS: number = 10 * 60_000;
/** How long a close waits for database transactions that began before it. */
const CERTAIN_TRIES = 200;
const CERTAIN_PAUSE_MS = 50;
/** Days that one run closes. */
const DAYS_MAX = 40;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/** Steps of a close, where a test may kill it. */
export type ClosePoint = 'begun' | 'settled' | 'written' | 'ended';

/** What a close stands on. */
export type ClosePorts = {
  readonly store: SettlementStore;
  readonly clock: Clock;
  /** `<dataDir>/gateway/settlement`. */
  readonly folder: string;
  /** Told after each durable step. */
  readonly reached?: (point: ClosePoint) => void;
};

/** A closed day with its files. */
export type ClosedDay = {
  readonly settlementDate: string;
  readonly batches: readonly SettlementBatch[];
  readonly statements: readonly (StatementFact & { readonly path: string })[];
};

/**
 * Closes a day that is over, or proves that it is closed: its statements are made anew and must be
 * the same. @throws GatewayError `ERR_SETTLEMENT_DAY`, `ERR_SETTLEMENT_BUSY`,
 * `ERR_SETTLEMENT_FILE`.
 */
export async function closeSettlementDay(
  ports: ClosePorts,
  settlementDate: string,
): Promise<ClosedDay> {
  const { store, clock } = ports;
  const day = await beginDay(ports, settlementDate);
  ports.reached?.('begun');
  await waitUntilCertain(store, day);
  if (day.closedAtMs === null) {
    for (const owner of await store.openOwners(day)) {
      await store.settle(day, owner);
      ports.reached?.('settled');
    }
  }
  const statements = [];
  for (const fact of await store.statements(settlementDate)) {
    statements.push({ ...fact, path: await writeStatement(ports, fact) });
    ports.reached?.('written');
  }
  await store.endDay(settlementDate, clock.nowMs());
  ports.reached?.('ended');
  return { settlementDate, batches: await store.batchesOfDay(settlementDate), statements };
}

/** Closes every day that is over by `CLOSE_AFTER_MS` and is not closed; the dates. */
export async function closeDueDays(ports: ClosePorts): Promise<readonly string[]> {
  const { store, clock } = ports;
  const lastOver = daysAfter(settlementDayAt(clock.nowMs() - CLOSE_AFTER_MS), -1);
  const last = await store.lastDay();
  const isOpen = last !== null && last.closedAtMs === null;
  const next = last && (isOpen ? last.settlementDate : daysAfter(last.settlementDate, 1));
  let day = next ?? (await store.firstBookedDay());
  const closed: string[] = [];
  while (day !== null && day <= lastOver && closed.length < DAYS_MAX) {
    await closeSettlementDay(ports, day);
    closed.push(day);
    day = daysAfter(day, 1);
  }
  return closed;
}

async function beginDay(ports: ClosePorts, settlementDate: string): Promise<SettlementDay> {
  const { store, clock } = ports;
  if (!isSettlementDay(settlementDate)) {
    throw dayError(`${settlementDate} is no day of the form YYYYMMDD`, settlementDate);
  }
  const known = await store.findDay(settlementDate);
  if (known) return known;
  const nowMs = clock.nowMs();
  if (nowMs < cutOffAtMs(settlementDate)) {
    throw dayError(`settlement day ${settlementDate} is not over`, settlementDate);
  }
  const last = await store.lastDay();
  if (last && last.settlementDate > settlementDate) {
    throw dayError(`the later day ${last.settlementDate} is closed already`, settlementDate);
  }
  if (last && last.closedAtMs === null) {
    throw dayError(`close day ${last.settlementDate} first; it was begun`, settlementDate);
  }
  const begun = await store.beginDay(settlementDate, nowMs);
  if (begun) return begun;
  throw dayError('another day was begun at the same time', settlementDate);
}

async function waitUntilCertain(store: SettlementStore, day: SettlementDay): Promise<void> {
  for (let tries = 0; tries < CERTAIN_TRIES; tries++) {
    if (await store.isCertain(day.bookedBefore)) return;
    await pause(CERTAIN_PAUSE_MS);
  }
  const { settlementDate } = day;
  const text = 'a database transaction that began before the close has not ended';
  throw new GatewayError('ERR_SETTLEMENT_BUSY', text, { settlementDate });
}

/** Where an owner's statement is. */
export function statementPath(folder: string, owner: BatchOwner): string {
  return join(folder, owner.settlementDate, `${owner.merchantId}-${owner.mode}.csv`);
}

/** Its path; the file is as the books say, now and whenever it was made. */
async function writeStatement({ store, folder }: ClosePorts, fact: StatementFact): Promise<string> {
  const path = statementPath(folder, fact);
  const text = await store.statement(fact);
  if (readStatement(text).sha256 !== fact.sha256) {
    throw fileError('cannot be made as it was first made: the books were changed', { path });
  }
  if (existsSync(path)) {
    if (readFileSync(path, 'utf8') === text) return path;
    throw fileError('differs from the books; move it away and close the day again', { path });
  }
  mkdirSync(join(folder, fact.settlementDate), { recursive: true, mode: FOLDER_MODE });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: FILE_MODE, flush: true });
  renameSync(draft, path);
  return path;
}

function dayError(message: string, settlementDate: string): GatewayError {
  return new GatewayError('ERR_SETTLEMENT_DAY', message, { settlementDate });
}
