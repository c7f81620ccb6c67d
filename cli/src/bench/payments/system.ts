/** A system of its own for a load: real processes, new cards and enrolled elements. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CardSpec,
  LAB_CARD_DEFAULTS,
  labPan,
  personaliseCards,
  readHsmTokens,
} from '@tapnpay/online/hsm';
import { connectHsm } from '@tapnpay/online/runtime';
import { type LaunchOptions, launchSystem, type RunningSystem } from '../../system/launch.ts';
import type { SystemConfig } from '../../system/layout.ts';
import { openSimulatedCards } from './card.ts';
import { SimulatedElement, transportKeys } from './element.ts';
import type { Payer } from './load.ts';
import { Merchant, NotificationReceiver } from './merchant.ts';

/** Cards of each payer, who pays one payment at a time. */
const CARDS_PER_PAYER = 1;
const BALANCE_MINOR = '999999999999';
/** Account digits of the load's first card. */
const ACCOUNT_FIRST = 500_000_000;

/** A running system with everything that pays on it. */
export type LoadSystem = {
  readonly system: RunningSystem;
  readonly payers: readonly Payer[];
  readonly merchant: Merchant;
  readonly receiver: NotificationReceiver;
  readonly close: () => Promise<void>;
};

/** Starts a system and enrols `elements` payers; `onProgress` hears what is being done. */
export async function startLoadSystem(options: {
  readonly elements: number;
  readonly onProgress: (text: string) => void;
  /** Another kind of system than `service`, and its faulty ways. */
  readonly launch?: Pick<LaunchOptions, 'kind' | 'openWays'>;
  /** Where elements reach the gateway, when not at its own port. */
  readonly elementPort?: (config: SystemConfig) => Promise<number>;
}): Promise<LoadSystem> {
  const { elements, onProgress, launch, elementPort } = options;
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-bench-'));
  // The database's own user must be able to pass.
  chmodSync(dataDir, 0o711);
  const closers: (() => unknown)[] = [() => rmSync(dataDir, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const stop of closers.splice(0).reverse()) await stop();
  };
  try {
    const system = await launchSystem({
      ...{ dataDir, basePort: 0, kind: 'service', onProgress },
      ...launch,
    });
    closers.push(system.close);
    const { ports } = system.config;
    onProgress('cards');
    const names = await makeCards(system, elements * CARDS_PER_PAYER);
    const cards = openSimulatedCards(dataDir, names);
    const merchant = new Merchant({ port: ports.gatewayHttp, dataDir });
    closers.push(() => merchant.close());
    const receiver = await NotificationReceiver.start(merchant.webhookKey);
    closers.push(() => receiver.close());
    onProgress('elements');
    const gatewayTls = (await elementPort?.(system.config)) ?? ports.gatewayTls;
    const transport = transportKeys();
    const payers: Payer[] = [];
    for (let index = 0; index < elements; index++) {
      const port = gatewayTls;
      const element = await SimulatedElement.enrol({ enroller: merchant, transport, port });
      const first = index * CARDS_PER_PAYER;
      payers.push({ element, cards: cards.slice(first, first + CARDS_PER_PAYER) });
    }
    return { system, payers, merchant, receiver, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** New cards by the issuer's bureau, as every card of a lab; their names. */
async function makeCards(system: RunningSystem, count: number): Promise<readonly string[]> {
  const { dataDir, ports } = system.config;
  const connect = (caller: 'bureau' | 'ceremony') =>
    connectHsm({
      port: ports.hsmIssuer,
      tokenHex: readHsmTokens(dataDir, 'issuer')[caller] ?? '',
      caller,
    });
  const bureau = await connect('bureau');
  const ceremony = await connect('ceremony');
  try {
    const specs: readonly CardSpec[] = Array.from({ length: count }, (_, index) => ({
      ...LAB_CARD_DEFAULTS,
      name: `load-${index}`,
      pan: labPan(String(ACCOUNT_FIRST + index)),
      balanceMinor: BALANCE_MINOR,
    }));
    await personaliseCards({ dataDir, bureau, ceremony, specs });
    return specs.map(({ name }) => name);
  } finally {
    await Promise.all([bureau.close(), ceremony.close()]);
  }
}
