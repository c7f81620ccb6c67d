/** Cryptograms, MACs and enciphered data under the keys and the cipher of a transaction. */
import { concatBytes } from '../../bytes/index.ts';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveSessionKey,
  deriveSm4SessionKey,
  scriptMac4,
  sm4ApplicationCryptogram,
  sm4Arpc,
  sm4ScriptMac4,
} from '../../crypto/index.ts';
import { buildDolValue, type DolEntry } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { balanceBytes, balanceOf } from './purse.ts';
import type { CardKeys } from './runtime-profile.ts';
import { active, atcBytes, type IccPorts, type Snapshot } from './session.ts';

/** Issuer discretionary data carries five of the six bytes of a balance. */
const BALANCE_BYTES_LEFT_OUT = 1;

/** What a cryptogram version covers: data objects, then this part of the CVR. */
type Coverage = {
  readonly entries: readonly DolEntry[];
  readonly cvrPart: readonly [start: number, end: number];
};

const COVERAGE: ReadonlyMap<number, Coverage> = new Map([
  [data.CRYPTOGRAM_VERSION_01, { entries: data.AC_INPUT_CVN_01, cvrPart: [0, 4] }],
  [data.CRYPTOGRAM_VERSION_17, { entries: data.AC_INPUT_CVN_17, cvrPart: [1, 2] }],
]);

/** Whether the card can make cryptograms of this version. */
export function isCryptogramVersion(version: number): boolean {
  return COVERAGE.has(version);
}

/** Whether keys, parameters and options of the transaction are all there. */
export function canSign(card: Snapshot): boolean {
  const { profile, options } = active(card);
  const keys = card.session.isSm ? profile.sm4Keys : profile.tdesKeys;
  return keys !== null && profile.parameters !== null && options !== null;
}

/** Cryptogram version of the powered interface. */
function cryptogramVersion(card: Snapshot): number {
  const { parameters } = active(card).profile;
  const { contactVersion = 0, contactlessVersion = 0 } = parameters ?? {};
  return card.interface === 'contact' ? contactVersion : contactlessVersion;
}

/** Session key of this transaction. @see PBOC3 P7; PBOC3 P17 */
export function sessionKey(card: Snapshot, kind: keyof CardKeys, ports: IccPorts): Uint8Array {
  const { isSm } = card.session;
  const { sm4Keys, tdesKeys } = active(card).profile;
  const keys = isSm ? sm4Keys : tdesKeys;
  if (!keys) throw new Error('the command was let through without keys');
  const atc = atcBytes(card);
  return isSm
    ? deriveSm4SessionKey(ports.ciphers, keys[kind], atc)
    : deriveSessionKey(keys[kind], atc);
}

/** The application cryptogram over the transaction's values. @see PBOC3 P5 §10; PBOC3 P12 */
export function cryptogramOf(card: Snapshot, cvr: Uint8Array, ports: IccPorts): Uint8Array {
  const coverage = COVERAGE.get(cryptogramVersion(card));
  if (!coverage) throw new Error('the image was let through with another cryptogram version');
  const { options } = active(card);
  const own = new Map([
    [data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, options?.aip ?? new Uint8Array(data.AIP_BYTES)],
    [data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, atcBytes(card)],
  ]);
  const values = buildDolValue(
    coverage.entries,
    (tag) => own.get(tag) ?? card.session.values.get(tag),
    data.dolFormatOf,
  );
  const input = concatBytes(values, cvr.subarray(...coverage.cvrPart));
  const key = sessionKey(card, 'ac', ports);
  return card.session.isSm
    ? sm4ApplicationCryptogram(ports.ciphers, key, input)
    : applicationCryptogram(key, input);
}

/** What the right issuer answers to the card's ARQC with this response code. */
export function expectedArpc(
  card: Snapshot,
  authorisationResponseCode: Uint8Array,
  ports: IccPorts,
): Uint8Array {
  const cryptogram = card.session.firstCryptogram?.ac ?? new Uint8Array(8);
  const key = sessionKey(card, 'ac', ports);
  return card.session.isSm
    ? sm4Arpc(ports.ciphers, key, { cryptogram, authorisationResponseCode })
    : arpcMethod1(key, cryptogram, authorisationResponseCode);
}

/** MAC that a script command must end with. @see PBOC3 P7 */
export function expectedScriptMac(
  card: Snapshot,
  script: { readonly header: Uint8Array; readonly data: Uint8Array },
  ports: IccPorts,
): Uint8Array {
  const cryptogram = card.session.firstCryptogram?.ac ?? new Uint8Array(8);
  const key = sessionKey(card, 'mac', ports);
  const atc = atcBytes(card);
  return card.session.isSm
    ? sm4ScriptMac4(ports.ciphers, key, { ...script, atc, cryptogram })
    : scriptMac4(key, script.header, atc, cryptogram, script.data);
}

/**
 * Tag 9F10: version, CVR, algorithm, and the balance of the purse that the transaction is in when
 * the issuer ordered it (0D02). @see PBOC3 P5 (9F10); PBOC3 P13
 */
export function issuerApplicationData(
  card: Snapshot,
  cvr: Uint8Array,
  ports: IccPorts,
): Uint8Array {
  const { parameters } = active(card).profile;
  const algorithm = data.iadAlgorithm(card.session.isSm);
  return data.encodeIad({
    derivationKeyIndex: parameters?.derivationKeyIndex ?? 0,
    cryptogramVersion: cryptogramVersion(card),
    cvr,
    algorithm,
    discretionary: discretionaryData(card, algorithm, ports),
  });
}

function discretionaryData(card: Snapshot, algorithm: number, ports: IccPorts): Uint8Array {
  const { profile, state } = active(card);
  const isWanted = profile.parameters?.discretionaryDataId === data.IDD_ID_EC_BALANCE;
  if (!isWanted || state.electronicCash === null) return new Uint8Array(0);
  const { purse, pendingPurchase } = card.session;
  const left = balanceOf(card, purse ?? 'first') - (pendingPurchase?.amountMinor ?? 0n);
  return data.encodeEcBalanceData(ports.ciphers, {
    algorithm,
    sessionKeyMac: sessionKey(card, 'mac', ports),
    atc: atcBytes(card),
    balance: balanceBytes(left).subarray(BALANCE_BYTES_LEFT_OUT),
  });
}
