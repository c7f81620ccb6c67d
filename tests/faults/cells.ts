/** The fault matrix: what strikes, where, and how the trial is told to do it. */

import { existsSync, rmSync } from 'node:fs';
import { readSystemConfig, writeSystemConfig } from '../../cli/src/system/layout.ts';
import { armCrashPoint, crashPointPath } from '../../online/src/runtime/index.ts';
import { WAY_FAULTS, type WayFault } from './proxy.ts';
import { pause, type Trial, type TrialWay } from './trial.ts';

type Party = 'gateway' | 'switch' | 'issuer';

/** One cell of the matrix. */
export type Cell = {
  readonly name: string;
  /** Strikes; what it resolves to undoes it and says how often it struck. */
  readonly strike: (trial: Trial) => Promise<() => Promise<number>>;
};

/** Crash points at which a party is killed: PORT.METHOD.MOMENT, and how often it is passed first. */
const CRASH_POINTS: readonly (readonly [party: Party, point: string, nth: number])[] = [
  ['gateway', 'store.createOrder.before', 2],
  ['gateway', 'store.createOrder.after', 2],
  ['gateway', 'store.beginPayment.before', 2],
  ['gateway', 'store.beginPayment.during', 1],
  ['gateway', 'store.beginPayment.after', 2],
  ['gateway', 'line.send.before', 2],
  ['gateway', 'line.send.during', 2],
  ['gateway', 'line.send.after', 2],
  ['gateway', 'store.changePayment.before', 2],
  ['gateway', 'store.changePayment.during', 1],
  ['gateway', 'store.changePayment.after', 3],
  ['gateway', 'courier.post.before', 1],
  ['gateway', 'courier.post.after', 1],
  ['gateway', 'store.beginOperation.before', 1],
  ['gateway', 'store.beginOperation.after', 1],
  ['gateway', 'store.changeOperation.before', 1],
  ['gateway', 'store.changeOperation.after', 1],
  ['gateway', 'store.settleOutbox.after', 2],
  ['switch', 'store.begin.before', 2],
  ['switch', 'store.begin.after', 2],
  ['switch', 'lines.send.before', 2],
  ['switch', 'lines.send.during', 2],
  ['switch', 'lines.send.after', 2],
  ['switch', 'store.answer.before', 2],
  ['switch', 'store.answer.after', 2],
  ['switch', 'store.takeAdvice.before', 1],
  ['switch', 'store.takeAdvice.after', 1],
  ['switch', 'store.claimAdvices.after', 1],
  ['switch', 'store.settleAdvice.before', 1],
  ['issuer', 'store.findCard.after', 2],
  ['issuer', 'store.commit.before', 2],
  ['issuer', 'store.commit.during', 1],
  ['issuer', 'store.commit.after', 2],
];

/** Points that only a reversal passes: answers of the issuer are lost meanwhile. */
const REVERSAL_POINTS: readonly (readonly [party: Party, point: string])[] = [
  ['switch', 'store.abandon.before'],
  ['switch', 'store.abandon.after'],
  ['switch', 'store.reverse.after'],
  ['gateway', 'store.claimReversals.after'],
];

const WAYS: readonly TrialWay[] = [
  ...(['element-gateway', 'gateway-switch', 'issuer-switch', 'gateway-shop'] as const),
  ...(['gateway-hsm', 'switch-hsm', 'issuer-hsm'] as const),
  ...(['gateway-database', 'switch-database', 'issuer-database'] as const),
];

const SKEWS_MS = [-45_000, 45_000] as const;
const PARTIES: readonly Party[] = ['gateway', 'switch', 'issuer'];
const DATABASE_DOWN_MS = 1_500;
/** When a kill that is no crash point comes. */
const KILL_AFTER_MS = 500;
/** How long a way is faulty; nobody could work at all on some. */
const WAY_FAULT_MS = 8_000;
const ROLE_TIMEOUT_MS = 20_000;

function crash(party: Party, point: string, nth: number): Cell {
  return {
    name: `crash ${party} ${point}`,
    strike: async ({ config }) => {
      armCrashPoint(config.dataDir, { party, point, nth });
      return async () => disarm(config.dataDir, party);
    },
  };
}

/** A point that was never passed struck 0 times, and the matrix says so. */
function disarm(dataDir: string, party: Party): number {
  const path = crashPointPath(dataDir, party);
  const struck = existsSync(path) ? 0 : 1;
  rmSync(path, { force: true });
  return struck;
}

function crashInReversal(party: Party, point: string): Cell {
  return {
    name: `crash ${party} ${point} (answers lost)`,
    strike: async (trial) => {
      const proxy = trial.ways.get('issuer-switch');
      proxy?.strike('drop');
      armCrashPoint(trial.config.dataDir, { party, point });
      return async () => {
        // The reversal may come after the work.
        const deadline = performance.now() + ROLE_TIMEOUT_MS;
        const path = crashPointPath(trial.config.dataDir, party);
        while (existsSync(path) && performance.now() < deadline) await pause(200);
        proxy?.heal();
        return disarm(trial.config.dataDir, party);
      };
    },
  };
}

function faultyWay(way: TrialWay, fault: WayFault): Cell {
  return {
    name: `${way} ${fault}`,
    strike: async ({ ways }) => {
      const proxy = ways.get(way);
      proxy?.strike(fault);
      let struck = 0;
      const heal = (): void => {
        struck += proxy?.heal() ?? 0;
      };
      const timer = setTimeout(heal, WAY_FAULT_MS);
      return async () => {
        clearTimeout(timer);
        heal();
        return struck;
      };
    },
  };
}

function killed(role: string): Cell {
  return {
    name: `kill ${role}`,
    strike: async (trial) => {
      const timer = setTimeout(() => trial.kill(role), KILL_AFTER_MS);
      return async () => {
        clearTimeout(timer);
        return 1;
      };
    },
  };
}

const DATABASE: Cell = {
  name: 'kill database',
  strike: async (trial) => {
    const struck = pause(KILL_AFTER_MS).then(() => trial.killDatabase(DATABASE_DOWN_MS));
    return async () => {
      await struck;
      return 1;
    };
  },
};

function skewed(party: Party, skewMs: number): Cell {
  const restart = async (trial: Trial, clocks: Readonly<Record<string, number>>): Promise<void> => {
    const { dataDir } = trial.config;
    writeSystemConfig({ ...readSystemConfig(dataDir), skewMs: clocks });
    const members = party === 'switch' ? (['gateway', 'issuer'] as const) : [party];
    const before = members.map((member) => trial.signOns(member));
    trial.kill(party);
    const deadline = performance.now() + ROLE_TIMEOUT_MS;
    const isBack = (): boolean =>
      members.every((member, index) => trial.signOns(member) > (before[index] ?? 0));
    while (!isBack() && performance.now() < deadline) await pause(100);
    await trial.ready();
  };
  return {
    name: `skewed clock ${party} ${skewMs / 1000} s`,
    strike: async (trial) => {
      await restart(trial, { [party]: skewMs });
      return async () => {
        await restart(trial, {});
        return 1;
      };
    },
  };
}

/** All cells, in order. */
export const CELLS: readonly Cell[] = [
  { name: 'nothing', strike: async () => async () => 1 },
  ...CRASH_POINTS.map((row) => crash(...row)),
  ...REVERSAL_POINTS.map((row) => crashInReversal(...row)),
  ...PARTIES.map((party) => killed(`hsm-${party}`)),
  DATABASE,
  ...WAYS.flatMap((way) => WAY_FAULTS.map((fault) => faultyWay(way, fault))),
  ...PARTIES.flatMap((party) => SKEWS_MS.map((skewMs) => skewed(party, skewMs))),
];

/** A few of each kind, for `npm test`. */
export const SHORT_CELLS: readonly string[] = [
  'nothing',
  'crash gateway store.beginPayment.after',
  'crash gateway line.send.during',
  'crash switch store.begin.after',
  'crash issuer store.commit.after',
  'gateway-switch duplicate',
  'issuer-switch drop',
  'kill database',
];
