/**
 * The key ceremony of the manager of secure elements: masters of the key sets in use and of the
 * factory. Its HSM is its own, and no payment waits for it.
 */
import { join } from 'node:path';
import { fromHex, type RandomSource, toHex, xorBytes } from '@tapnpay/protocol/bytes';
import { type Hsm, type KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import {
  type PartyKey,
  type PartyKeyName,
  type PartyKeys,
  parsePartyKeys,
  partyKeysPath,
  readPartyKeys,
} from '../runtime/party-keys.ts';
import { systemRandom } from '../runtime/system.ts';
import { HsmError } from './errors.ts';
import { createFileAtomic, makePrivateFolder, readFileIfAny } from './files.ts';

const COMPONENTS = 2;
/**
 * The master that elements of a laboratory are born with: everybody knows it, and the first key
 * change takes it away. @see GPCS 2.3.1 §E.2 (default keys of test cards)
 */
const OPEN_FACTORY_MASTER = '404142434445464748494A4B4C4D4E4F';

type PlannedMaster = {
  readonly name: PartyKeyName<'tsm'>;
  readonly algorithm: KeyAlgorithm;
  readonly lengthBytes: number;
  /** Known beforehand; random when left out. */
  readonly value?: string;
};

/** Every master. */
const PLAN: readonly PlannedMaster[] = [
  { name: 'elementAes', algorithm: 'A', lengthBytes: 32 },
  { name: 'elementDes', algorithm: 'T', lengthBytes: 16 },
  { name: 'factoryAes', algorithm: 'A', lengthBytes: 16 },
  { name: 'factoryDes', algorithm: 'T', lengthBytes: 16 },
  { name: 'factoryOpen', algorithm: 'A', lengthBytes: 16, value: OPEN_FACTORY_MASTER },
];

/** Forms all masters in the HSM, without any file. */
export async function formElementKeys(
  ceremony: Hsm,
  random: RandomSource,
): Promise<PartyKeys<'tsm'>> {
  const keys: Partial<Record<PartyKeyName<'tsm'>, PartyKey>> = {};
  for (const planned of PLAN) {
    const { keyBlock, kcv } = await ceremony.call({
      ...({ command: 'formKey', usage: KeyUsage.elementMaster } as const),
      algorithm: planned.algorithm,
      components: componentsOf(planned, random),
    });
    keys[planned.name] = { keyBlock, kcv };
  }
  const { label, masterKeyKcv } = await ceremony.call({ command: 'status' });
  return parsePartyKeys(JSON.stringify({ party: 'tsm', label, masterKeyKcv, keys }), 'tsm');
}

/**
 * Makes `<dataDir>/keys/tsm.json` when it is missing, and returns it.
 * @throws HsmError `ERR_HSM_CEREMONY` when the keys belong to another HSM than the one here.
 */
export async function runElementCeremony(options: {
  readonly dataDir: string;
  readonly ceremony: Hsm;
  readonly random?: RandomSource;
}): Promise<PartyKeys<'tsm'>> {
  const { dataDir, ceremony } = options;
  const path = partyKeysPath(dataDir, 'tsm');
  makePrivateFolder(join(dataDir, 'keys'));
  if (!readFileIfAny(path)) {
    const made = await formElementKeys(ceremony, options.random ?? systemRandom);
    createFileAtomic(path, `${JSON.stringify(made, null, 2)}\n`);
  }
  const keys = readPartyKeys(dataDir, 'tsm');
  const { masterKeyKcv } = await ceremony.call({ command: 'status' });
  if (masterKeyKcv === keys.masterKeyKcv) return keys;
  const text = 'the keys of tsm are under another master key than its HSM has';
  throw new HsmError('ERR_HSM_CEREMONY', `${text}; put the HSM's folder back`);
}

function componentsOf(planned: PlannedMaster, random: RandomSource): readonly string[] {
  const shares = Array.from({ length: COMPONENTS }, () => random.bytes(planned.lengthBytes));
  if (planned.value === undefined) return shares.map(toHex);
  const first = shares.slice(1);
  return [...first, first.reduce(xorBytes, fromHex(planned.value))].map(toHex);
}
