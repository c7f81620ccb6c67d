/**
 * For the tests of the back office: a gateway on PostgreSQL before a strict switch whose field 15
 * follows the clock, and the back office's parts over the same database. Run as a program it closes
 * a day and kills itself at a step: `node FILE URL SCHEMA FOLDER DAY NOW-MS POINT COUNT`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { textField } from '@tapnpay/protocol/iso8583';
import type { Database } from '../../runtime/index.ts';
import { reply, type SwitchScript } from '../gateway.test-kit.ts';
import { LedgerProjection } from '../ledger/projection.ts';
import { type OperationsWorld, operationsWorld } from '../operations/operations.test-kit.ts';
import { settlementDateAt } from '../settlement-date.ts';
import { openGatewayDatabase, PostgresGatewayStore } from '../store-postgres.ts';
import { type ClosePorts, closeSettlementDay } from './close.ts';
import { SettlementStore } from './store.ts';

/** Number of the tests' one merchant. */
export const TEST_MERCHANT = '898110000000001';

/** Everything a test of the back office turns and looks at. */
export type OfficeWorld = OperationsWorld & {
  readonly database: Database;
  readonly ledger: LedgerProjection;
  readonly settlement: SettlementStore;
  readonly closing: ClosePorts;
  /** Turns the clock to an instant that is not before now. */
  readonly turnTo: (atMs: number) => void;
  readonly close: () => Promise<void>;
};

/** A world of its own in `schema`. */
export async function officeWorld(databaseUrl: string, schema: string): Promise<OfficeWorld> {
  const database = await openGatewayDatabase({ databaseUrl, schema });
  const world = await operationsWorld(new PostgresGatewayStore(database));
  const { clock, line, strict } = world;
  line.script = dated(strict.script, () => clock.nowMs());
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-office-'));
  const store = new SettlementStore(database);
  return {
    ...world,
    database,
    ledger: new LedgerProjection(database),
    settlement: store,
    closing: { store, clock, folder: join(folder, 'settlement') },
    turnTo: (atMs) => clock.advance(atMs - clock.nowMs()),
    close: async () => {
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Field 15 of each answer is the day of that moment. */
function dated(script: SwitchScript, nowMs: () => number): SwitchScript {
  return async (message) => {
    const day = settlementDateAt(nowMs());
    const answer = await script(message);
    if (answer === 'timeout' || message.mti.startsWith('042')) return answer;
    return reply(message, textField(answer, 39) ?? '', [[15, day]]);
  };
}

if (import.meta.main) {
  const [url = '', schema = '', folder = '', day = '', nowMs, point, count] = process.argv.slice(2);
  const database = await openGatewayDatabase({ databaseUrl: url, schema });
  let left = Number(count);
  await closeSettlementDay(
    {
      store: new SettlementStore(database),
      clock: { nowMs: () => Number(nowMs), startTimer: () => () => undefined },
      folder,
      reached: (at) => {
        if (at === point && --left === 0) process.kill(process.pid, 'SIGKILL');
      },
    },
    day,
  );
  await database.close();
}
