/**
 * What goes on behind the payments: balances are brought forward, decisions written, rules read
 * again, days closed. No payment waits for any of it; no part stops for another's fault.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, errorBody, type RandomSource } from '@tapnpay/protocol/bytes';
import type { Database, PartyLog } from '../../runtime/index.ts';
import { LedgerProjection } from '../ledger/projection.ts';
import { type RiskDecision, RiskEngine } from '../risk/engine.ts';
import { PostgresRiskLog } from '../risk/log.ts';
import { readRules } from '../risk/rules.ts';
import { settlementDayAt } from '../settlement-date.ts';
import { CLOSE_AFTER_MS, type ClosePorts, closeDueDays } from './close.ts';
import { type SettlementBooks, SettlementStore } from './store.ts';

/** How often it works. */
export const OFFICE_TICK_MS = 1_000;
/** Pause after a close that failed. */
const CLOSE_PAUSE_MS = 60_000;

/** What routes read. */
export interface OfficeBooks {
  readonly settlement: SettlementBooks;
  /** Payments that a risk rule refused, newest first. */
  refusals(limit: number): Promise<readonly RiskDecision[]>;
}

/** `<dataDir>/gateway/risk.json`. */
export function rulesPath(dataDir: string): string {
  return join(dataDir, 'gateway', 'risk.json');
}

/** `<dataDir>/gateway/settlement`. */
export function settlementFolder(dataDir: string): string {
  return join(dataDir, 'gateway', 'settlement');
}

/** The back office of one gateway. */
export class BackOffice implements OfficeBooks {
  readonly settlement: SettlementStore;
  readonly engine: RiskEngine;
  readonly #ledger: LedgerProjection;
  readonly #riskLog: PostgresRiskLog;
  readonly #closing: ClosePorts;
  readonly #rulesPath: string;
  readonly #log: PartyLog;
  #rulesStamp = '';
  /** Settlement day in which every day before was found closed. */
  #closedIn = '';
  #closeNotBeforeMs = 0;

  constructor(ports: {
    readonly database: Pick<Database, 'pool' | 'transaction'>;
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly dataDir: string;
    readonly log: PartyLog;
  }) {
    const { database, clock, random, dataDir } = ports;
    this.settlement = new SettlementStore(database);
    this.#ledger = new LedgerProjection(database);
    this.#riskLog = new PostgresRiskLog(database);
    this.engine = new RiskEngine({ clock, random, log: this.#riskLog });
    this.#closing = { store: this.settlement, clock, folder: settlementFolder(dataDir) };
    this.#rulesPath = rulesPath(dataDir);
    this.#log = ports.log;
  }

  refusals(limit: number): Promise<readonly RiskDecision[]> {
    return this.#riskLog.refusals(limit);
  }

  /** Before traffic. @throws GatewayError `ERR_RISK_RULES`: no payment without the rules meant. */
  async start(): Promise<void> {
    await this.#readRules();
  }

  /** One round. */
  async tick(): Promise<void> {
    await this.#part('decisions', () => this.#riskLog.flush());
    await this.#part('balances', async () => void (await this.#ledger.rollUp()));
    await this.#part('rules', () => this.#readRules());
    await this.#part('settlement', () => this.#closeDays());
  }

  /** Writes what waits. */
  async stop(): Promise<void> {
    await this.#part('decisions', () => this.#riskLog.flush());
  }

  async #part(part: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (fault) {
      const { code, message } = errorBody(fault);
      this.#log.error({ event: 'backOfficeFailed', part, code, message });
    }
  }

  async #readRules(): Promise<void> {
    const stamp = stampOf(this.#rulesPath);
    if (stamp === this.#rulesStamp) return;
    // A wrong file is told once; the rules before it stay in force.
    this.#rulesStamp = stamp;
    await this.engine.load(readRules(this.#rulesPath));
    this.#log.info({ event: 'riskRulesLoaded', file: stamp !== 'none' });
  }

  async #closeDays(): Promise<void> {
    const nowMs = this.#closing.clock.nowMs();
    const day = settlementDayAt(nowMs - CLOSE_AFTER_MS);
    if (day === this.#closedIn || nowMs < this.#closeNotBeforeMs) return;
    this.#closeNotBeforeMs = nowMs + CLOSE_PAUSE_MS;
    for (const settlementDate of await closeDueDays(this.#closing)) {
      this.#log.info({ event: 'settlementDayClosed', settlementDate });
    }
    this.#closedIn = day;
  }
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.mtimeMs} ${stat.size} ${stat.ino}` : 'none';
}
