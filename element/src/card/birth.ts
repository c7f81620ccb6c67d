/**
 * Birth of a card: its number, its life cycle data, its factory keys, and the key by which it
 * attests what it is. The factory keeps the masters; the card keeps what comes of them.
 */
import { generateKeyPairSync } from 'node:crypto';
import { concatBytes, fromHex, type RandomSource, Secret, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import {
  CPLC_BYTES,
  diversifyKey,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  SCP02_PARAMETERS,
  SCP03_PARAMETERS,
  type StaticKeyUsage,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type CardProfile,
  type CardState,
  cardProfile,
  factoryState,
} from '@tapnpay/protocol/globalplatform/oncard';
import type { CardBirth } from '@tapnpay/protocol/wire';
import { ElementError } from '../errors.ts';
import type { BirthRecord } from './card-store.ts';

/** First bytes of the key diversification data: "TA". */
const MAKER = Uint8Array.of(0x54, 0x41);
const SERIAL_BYTES = 8;
const AES_KEY_BYTES: readonly number[] = [16, 24, 32];
const DES_KEY_BYTES: readonly number[] = [16];

/** What a card is born with and keeps; keys in hex inside the sealed store. */
export type BornCard = {
  readonly serialNumber: string;
  readonly cplc: Uint8Array;
  readonly keyDiversificationData: Uint8Array;
  readonly scp03ParameterI: number;
  readonly scp02ParameterI: number | null;
  readonly attestationKeyPkcs8: Secret<string>;
  readonly attestationPublicKeySpki: string;
};

/**
 * A new card and its first state. Its factory keys come of the masters and its number: KDF3 for
 * AES, EMV CPS for DES.
 * @throws ElementError `ERR_ELEMENT_BIRTH` for masters or parameters that are none.
 */
export function bearCard(
  birth: CardBirth,
  ports: {
    readonly ciphers: CipherProvider;
    readonly random: RandomSource;
    readonly nowMs: number;
  },
): { readonly born: BornCard; readonly state: CardState } {
  const serial =
    birth.serialNumber === null
      ? ports.random.bytes(SERIAL_BYTES).slice()
      : fromHex(birth.serialNumber);
  const keyDiversificationData = concatBytes(MAKER, serial);
  assertParameters(birth);
  const keyOf = (usage: StaticKeyUsage): Uint8Array => {
    const master = fromHex(birth.masters[usage]);
    const way = birth.algorithm === 'aes' ? 'kdf3' : 'emv';
    return diversifyKey(ports.ciphers, master, { way, usage, keyDiversificationData });
  };
  const attestation = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const born = {
    ...{ serialNumber: toHex(serial), keyDiversificationData },
    cplc: productionData(serial, ports.nowMs),
    scp03ParameterI: birth.scp03ParameterI,
    scp02ParameterI: birth.scp02ParameterI,
    attestationKeyPkcs8: new Secret(
      toHex(attestation.privateKey.export({ type: 'pkcs8', format: 'der' })),
      '[key]',
    ),
    attestationPublicKeySpki: toHex(attestation.publicKey.export({ type: 'spki', format: 'der' })),
  };
  const state = factoryState(profileOf(born), {
    encryption: keyOf('encryption'),
    mac: keyOf('mac'),
    dataEncryption: keyOf('dataEncryption'),
    type: birth.algorithm === 'aes' ? KEY_TYPE_88_AES : KEY_TYPE_80_DES,
  });
  return { born, state };
}

/** What never changes in a born card. */
export function profileOf(
  born: Pick<BornCard, 'cplc' | 'keyDiversificationData' | 'scp02ParameterI' | 'scp03ParameterI'>,
): CardProfile {
  const { cplc, keyDiversificationData, scp02ParameterI, scp03ParameterI } = born;
  return cardProfile({ cplc, keyDiversificationData, scp02ParameterI, scp03ParameterI });
}

/** As it stands in the store. */
export function birthRecord(born: BornCard): BirthRecord {
  return {
    ...born,
    cplc: toHex(born.cplc),
    keyDiversificationData: toHex(born.keyDiversificationData),
    attestationKeyPkcs8: born.attestationKeyPkcs8.expose(),
  };
}

/** From the store. @throws ElementError `ERR_STORE_CORRUPT`. */
export function bornCardOf(record: BirthRecord): BornCard {
  const text = (name: string): string => {
    const value = record[name];
    if (typeof value === 'string') return value;
    throw new ElementError('ERR_STORE_CORRUPT', `the card has no ${name}`);
  };
  const { scp02ParameterI, scp03ParameterI } = record;
  return {
    serialNumber: text('serialNumber'),
    cplc: fromHex(text('cplc')),
    keyDiversificationData: fromHex(text('keyDiversificationData')),
    scp03ParameterI: Number(scp03ParameterI),
    scp02ParameterI: typeof scp02ParameterI === 'number' ? scp02ParameterI : null,
    attestationKeyPkcs8: new Secret(text('attestationKeyPkcs8'), '[key]'),
    attestationPublicKeySpki: text('attestationPublicKeySpki'),
  };
}

function assertParameters(birth: CardBirth): void {
  const allowed = birth.algorithm === 'aes' ? AES_KEY_BYTES : DES_KEY_BYTES;
  const lengths = Object.values(birth.masters).map((hex) => hex.length / 2);
  const isFit =
    lengths.every((length) => length === lengths[0] && allowed.includes(length)) &&
    SCP03_PARAMETERS.includes(birth.scp03ParameterI) &&
    (birth.scp02ParameterI === null || SCP02_PARAMETERS.includes(birth.scp02ParameterI));
  if (!isFit) throw new ElementError('ERR_ELEMENT_BIRTH', 'masters or parameters are none');
  const isSpoken = birth.algorithm === 'aes' || birth.scp02ParameterI !== null;
  if (!isSpoken) {
    throw new ElementError('ERR_ELEMENT_BIRTH', 'DES keys without SCP02 open nothing');
  }
}

/** CPLC: the maker, the number and the day of birth in its places. @see GPCS 2.3.1 §H.6 */
function productionData(serial: Uint8Array, nowMs: number): Uint8Array {
  const data = new Uint8Array(CPLC_BYTES);
  data.set(MAKER, 0);
  data.set([0x00, 0x01], 2);
  data.set(MAKER, 4);
  const day = new Date(nowMs);
  const firstMs = Date.UTC(day.getUTCFullYear(), 0, 1);
  const dayOfYear = Math.floor((nowMs - firstMs) / 86_400_000) + 1;
  const date = fromHex(`${day.getUTCFullYear() % 10}${String(dayOfYear).padStart(3, '0')}`);
  for (const offset of DATE_OFFSETS) data.set(date, offset);
  data.set(serial.slice(4), 12);
  data.set(serial.slice(2, 4), 16);
  return data;
}

/** Release, fabrication, packaging, embedding, pre-personalisation, personalisation. */
const DATE_OFFSETS: readonly number[] = [6, 10, 20, 24, 28, 36];
