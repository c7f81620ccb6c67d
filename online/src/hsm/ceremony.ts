/**
 * The key ceremony: the long-lived keys of all parties, formed from random components. A zone key
 * is formed in the HSMs of both its ends, whose check values are compared as people would do.
 *
 * With people in the room each component has its own holder. Here one program makes them all at
 * the first start, which is why everything that comes of it is labelled LAB.
 */
import { join } from 'node:path';
import { fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { type Hsm, type KeyAlgorithm, KeyUsage } from '@tapnpay/protocol/wire';
import {
  HSM_PARTIES,
  type PartyKey,
  type PartyKeys,
  type PaymentParty,
  parsePartyKeys,
  partyKeysPath,
  readPartyKeys,
} from '../runtime/party-keys.ts';
import { nodeCiphers, systemRandom } from '../runtime/system.ts';
import { HsmError } from './errors.ts';
import {
  createFileAtomic,
  makePrivateFolder,
  readFileIfAny,
  removeFile,
  writeFileAtomic,
} from './files.ts';
import { keyCheckValue } from './keys.ts';
import { KEY_BYTES } from './profile.ts';

const COMPONENTS = 2;

/** The key files of all parties. */
export type SystemKeys = { readonly [P in PaymentParty]: PartyKeys<P> };
/** Gives the ceremony its way into each HSM, as caller `ceremony`. */
export type CeremonyHsms = (party: PaymentParty) => Hsm;

/** One key: what it is for and the names that it has with each party. */
type PlannedKey = {
  readonly usage: KeyUsage;
  readonly algorithm: KeyAlgorithm;
  readonly homes: readonly (readonly [party: PaymentParty, name: string])[];
};

/** Every long-lived key of the system. */
const PLAN: readonly PlannedKey[] = [
  {
    usage: KeyUsage.zoneMaster,
    algorithm: 'T',
    homes: [
      ['gateway', 'zmk'],
      ['switch', 'zmkGateway'],
    ],
  },
  {
    usage: KeyUsage.zoneMaster,
    algorithm: 'T',
    homes: [
      ['switch', 'zmkIssuer'],
      ['issuer', 'zmk'],
    ],
  },
  { usage: KeyUsage.baseDerivation, algorithm: 'A', homes: [['gateway', 'bdk']] },
  { usage: KeyUsage.issuerMasterAc, algorithm: 'T', homes: [['issuer', 'imkAc']] },
  { usage: KeyUsage.issuerMasterMac, algorithm: 'T', homes: [['issuer', 'imkMac']] },
  { usage: KeyUsage.issuerMasterEnc, algorithm: 'T', homes: [['issuer', 'imkEnc']] },
  { usage: KeyUsage.issuerMasterAc, algorithm: '4', homes: [['issuer', 'imkAcSm4']] },
  { usage: KeyUsage.issuerMasterMac, algorithm: '4', homes: [['issuer', 'imkMacSm4']] },
  { usage: KeyUsage.issuerMasterEnc, algorithm: '4', homes: [['issuer', 'imkEncSm4']] },
  { usage: KeyUsage.pinVerification, algorithm: 'T', homes: [['issuer', 'pvk']] },
];

/**
 * Makes what is missing below `<dataDir>/keys` and returns the key files; those that exist are
 * kept. A ceremony that was cut short after its keys were written down is finished, one that was
 * cut short before is done anew.
 * @throws HsmError `ERR_HSM_CEREMONY` when check values differ, a file of a finished ceremony is
 *   missing, or the keys belong to another HSM than the one that answers.
 */
export async function runCeremony(options: {
  readonly dataDir: string;
  readonly connect: CeremonyHsms;
  readonly random?: RandomSource;
}): Promise<SystemKeys> {
  const { dataDir, connect } = options;
  makePrivateFolder(join(dataDir, 'keys'));
  finishCeremony(dataDir);
  const missing = HSM_PARTIES.filter((party) => !readFileIfAny(partyKeysPath(dataDir, party)));
  if (missing.length === HSM_PARTIES.length) {
    const keys = await formSystemKeys(connect, options.random ?? systemRandom);
    // The record makes all three files or none of them.
    writeFileAtomic(recordPath(dataDir), JSON.stringify(keys));
    finishCeremony(dataDir);
    return keys;
  }
  if (missing.length > 0) {
    const text = `the key file of ${missing.join(' and ')} is missing in ${join(dataDir, 'keys')}`;
    throw ceremonyError(`${text}; put it back, or start with a new data folder`);
  }
  const keys = {
    gateway: readPartyKeys(dataDir, 'gateway'),
    switch: readPartyKeys(dataDir, 'switch'),
    issuer: readPartyKeys(dataDir, 'issuer'),
  };
  await assertHome(keys, connect);
  return keys;
}

/** All keys in their HSMs, without any file. @throws HsmError `ERR_HSM_CEREMONY`. */
export async function formSystemKeys(
  connect: CeremonyHsms,
  random: RandomSource,
): Promise<SystemKeys> {
  const found = new Map<PaymentParty, Map<string, PartyKey>>();
  for (const { usage, algorithm, homes } of PLAN) {
    const components = Array.from({ length: COMPONENTS }, () => toHex(random.bytes(KEY_BYTES)));
    const formed = await Promise.all(
      homes.map(async ([party, name]) => {
        const request = { command: 'formKey', usage, algorithm, components } as const;
        const { keyBlock, kcv } = await connect(party).call(request);
        const keys = found.get(party) ?? new Map<string, PartyKey>();
        found.set(party, keys.set(name, { keyBlock, kcv }));
        return kcv;
      }),
    );
    if (new Set(formed).size !== 1) {
      const ends = homes.map(([party]) => party).join(' and ');
      throw ceremonyError(`the check values of ${ends} differ`);
    }
  }
  return {
    gateway: await partyKeys('gateway', found, connect),
    switch: await partyKeys('switch', found, connect),
    issuer: await partyKeys('issuer', found, connect),
  };
}

async function partyKeys<P extends PaymentParty>(
  party: P,
  found: ReadonlyMap<PaymentParty, ReadonlyMap<string, PartyKey>>,
  connect: CeremonyHsms,
): Promise<PartyKeys<P>> {
  const { label, masterKeyKcv } = await connect(party).call({ command: 'status' });
  const keys = Object.fromEntries(found.get(party) ?? []);
  return parsePartyKeys(JSON.stringify({ party, label, masterKeyKcv, keys }), party);
}

/** One custodian's share of a key: random, with the check value that is written beside it. */
export function newComponent(
  random: RandomSource,
  algorithm: KeyAlgorithm,
): { readonly component: string; readonly kcv: string } {
  const component = toHex(random.bytes(KEY_BYTES));
  return { component, kcv: componentCheckValue(algorithm, component) };
}

/** Check value of a component of 32 hex digits, as if it were a key of the algorithm. */
export function componentCheckValue(algorithm: KeyAlgorithm, component: string): string {
  return keyCheckValue({ ciphers: nodeCiphers }, algorithm, fromHex(component));
}

/** Writes the files that a record holds, those that exist left as they are, and drops it. */
function finishCeremony(dataDir: string): void {
  const path = recordPath(dataDir);
  const file = readFileIfAny(path);
  if (!file) return;
  const record = JSON.parse(new TextDecoder().decode(file)) as Readonly<
    Record<PaymentParty, unknown>
  >;
  for (const party of HSM_PARTIES) {
    const keys = parsePartyKeys(JSON.stringify(record[party]), party);
    createFileAtomic(partyKeysPath(dataDir, party), `${JSON.stringify(keys, null, 2)}\n`);
  }
  removeFile(path);
}

function recordPath(dataDir: string): string {
  return join(dataDir, 'keys', 'ceremony.json');
}

/** Key blocks are of use only to the master key that they were made under. */
async function assertHome(keys: SystemKeys, connect: CeremonyHsms): Promise<void> {
  for (const party of HSM_PARTIES) {
    const { masterKeyKcv } = await connect(party).call({ command: 'status' });
    if (masterKeyKcv === keys[party].masterKeyKcv) continue;
    const text = `the keys of ${party} are under another master key than its HSM has`;
    throw ceremonyError(`${text}; put the HSM's folder back, or start with a new data folder`);
  }
}

function ceremonyError(message: string): HsmError {
  return new HsmError('ERR_HSM_CEREMONY', message);
}
