/**
 * What all simulated worlds of a process share: master keys, the keys of the ceremony, cards and
 * elements. Making them takes RSA keys, which differ from run to run; nothing that a history tells
 * depends on them, for the cards claim no offline data authentication.
 */
import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { type IccImage, parseIccImage } from '@tapnpay/protocol/emv/data';
import { nodeCiphers } from '@tapnpay/protocol/node';
import type { Hsm, HsmCaller } from '@tapnpay/protocol/wire';
import {
  type CardRecord,
  type CardSpec,
  labPan,
  personaliseCard,
  recordOf,
} from '../../online/src/hsm/cards.ts';
import { formSystemKeys, type SystemKeys } from '../../online/src/hsm/ceremony.ts';
import { createHsmContext, type HsmContext } from '../../online/src/hsm/context.ts';
import { inProcessHsm } from '../../online/src/hsm/execute.ts';
import { memoryRsaVault, type RsaVault } from '../../online/src/hsm/rsa-vault.ts';
import { firstApplication, withGroupings } from '../../protocol/src/emv/data/icc-image.test-kit.ts';
import { PARTIES, type Party } from './life.ts';
import { SeededRandom } from './seeded.ts';

/** Seed of what is shared; worlds have their own. */
const SYSTEM_SEED = 0x7a9;
const MASTER_KEY_BYTES = 32;
const EXPIRY_YYMM = '3112';
/** AIP without offline data authentication: cardholder verification, risk, issuer authentication. */
const AIP_ONLINE_ONLY = '1C00';

/** The PIN of every simulated card. */
export const SIM_PIN = '123456';
/** Payers of a world; each has one card and one element. */
export const PAYERS = 4;

/** A card, and the element it is tapped at. */
export type SimPayer = {
  readonly image: IccImage;
  readonly record: CardRecord;
  readonly elementId: string;
  readonly initialKeyId: string;
  readonly initialKey: Uint8Array;
};

/** The shared part of all worlds. */
export type SimSystem = {
  readonly keys: SystemKeys;
  readonly payers: readonly SimPayer[];
  /** A party's HSM for one world: the shared keys, a random source of its own. */
  hsm(party: Party, random: SeededRandom): Hsm;
};

/** Forms keys, personalises cards, exports the elements' initial PIN keys. */
export async function prepareSystem(): Promise<SimSystem> {
  const random = new SeededRandom(SYSTEM_SEED);
  const rsa = oneCardKey(memoryRsaVault());
  const masterKeys = new Map(PARTIES.map((party) => [party, random.bytes(MASTER_KEY_BYTES)]));
  const contextOf = (party: Party, source: SeededRandom): HsmContext =>
    createHsmContext({
      lmk: masterKeys.get(party) ?? new Uint8Array(),
      ciphers: nodeCiphers,
      random: source,
      party,
      rsa,
    });
  const contexts = new Map(PARTIES.map((party) => [party, contextOf(party, random)]));
  const connect = (party: Party, caller: HsmCaller): Hsm => {
    const context = contexts.get(party);
    if (!context) throw new Error(`no HSM of ${party}`);
    return inProcessHsm(context, caller);
  };
  const keys = await formSystemKeys((party) => connect(party, 'ceremony'), random);
  const makers = {
    bureau: connect('issuer', 'bureau'),
    ceremony: connect('issuer', 'ceremony'),
    random,
  };
  const gateway = connect('gateway', 'gateway');
  const elementKey = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const payers: SimPayer[] = [];
  for (let number = 1; number <= PAYERS; number++) {
    const card = cardOf(number);
    const made = await personaliseCard(makers, keys.issuer, card);
    const initialKeyId = `54415001${number.toString(16).padStart(8, '0').toUpperCase()}`;
    const exported = await gateway.call({
      command: 'exportInitialKey',
      initialKeyId,
      baseKey: keys.gateway.keys.bdk.keyBlock,
      publicKeySpki: toHex(elementKey.publicKey.export({ type: 'spki', format: 'der' })),
    });
    const initialKey = privateDecrypt(
      {
        key: elementKey.privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
      },
      fromHex(exported.enciphered),
    );
    payers.push({
      image: onlineOnly(parseIccImage(made.image)),
      record: recordOf(card, made.pvv),
      elementId: `E${number}`,
      initialKeyId,
      initialKey: new Uint8Array(initialKey),
    });
  }
  return {
    keys,
    payers,
    hsm: (party, source) => inProcessHsm(contextOf(party, source), party),
  };
}

/**
 * A card whose signatures are worth nothing and cost no time: by contact its AIP claims none, and
 * readers hear of no files in a tap.
 */
function onlineOnly(image: IccImage): IccImage {
  const options = firstApplication(image).dgis['9104'] ?? '';
  return withGroupings(image, { '9104': AIP_ONLINE_ONLY + options.slice(4), '8101': '01' });
}

/** The last card is poor: its account is empty after a few purchases. */
function cardOf(number: number): CardSpec & { readonly expiryYymm: string } {
  return {
    name: `payer-${number}`,
    pan: labPan(`00000010${number}`),
    panSequenceNumber: '01',
    pin: SIM_PIN,
    balanceMinor: number === PAYERS ? '4000' : '100000',
    monthsValid: 60,
    expiryYymm: EXPIRY_YYMM,
    state: 'active',
    label: 'PBOC DEBIT',
    cardholderName: 'SIM/PAYER',
    isWrongIssuerKey: false,
  };
}

/** Card keys are not used here; one is enough. */
function oneCardKey(vault: RsaVault): RsaVault {
  let key: ReturnType<RsaVault['cardKey']> | undefined;
  return {
    authority: () => vault.authority(),
    cardKey() {
      key ??= vault.cardKey();
      return key;
    },
  };
}
