/** What each issuer script does to the card once its MAC is proved. @see PBOC3 P5, PBOC3 P13 */
import { concatBytes, toHex, xorBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A83_RECORD_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6700_WRONG_LENGTH,
  SW_6988_SECURE_MESSAGING_DATA_INCORRECT,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { sessionKey } from './cryptograms.ts';
import { withLoadLogEntry } from './logs.ts';
import { balanceLimit, balanceOf, purseOfBalanceTag, withBalance } from './purse.ts';
import { hasFile, minorOf, readableTlv, recordKey, recordValue } from './runtime-profile.ts';
import {
  active,
  type IccPorts,
  type PurseName,
  type Snapshot,
  withGrouping,
  withState,
} from './session.ts';

/** A script command without its MAC. */
export type Script = { readonly command: CommandApdu; readonly plain: Uint8Array };

/** The card after the script, or why it was refused. */
export type Effect = (card: Snapshot, script: Script, ports: IccPorts) => Snapshot | StatusWord;

/** APPLICATION BLOCK: final cryptograms are AAC from now on. APPLICATION UNBLOCK: the reverse. */
export function setApplicationBlocked(applicationBlocked: boolean): Effect {
  return (card, script) => bareFault(script) ?? withState(card, { applicationBlocked });
}

/** CARD BLOCK: every command answers 6A81 for ever. */
export function setCardBlocked(card: Snapshot, script: Script): Snapshot | StatusWord {
  return bareFault(script) ?? { ...card, image: { ...card.image, cardBlocked: true } };
}

/** What is wrong with a script that has neither parameters nor data. */
function bareFault({ command, plain }: Script): StatusWord | undefined {
  if (command.p1 !== 0 || command.p2 !== 0) return SW_6A86_WRONG_P1_P2;
  return plain.length === 0 ? undefined : SW_6700_WRONG_LENGTH;
}

/** PIN CHANGE/UNBLOCK, P2: only unblock; a block mixed with the PIN of now; a block as it is. */
const PIN_UNBLOCK = 0x00;
const PIN_CHANGE_WITH_CURRENT = 0x01;
const PIN_CHANGE = 0x02;

/** PIN CHANGE/UNBLOCK: a new PIN when there is one, and the try counter is full again. */
export function changePin(
  card: Snapshot,
  { command, plain }: Script,
  ports: IccPorts,
): Snapshot | StatusWord {
  const { pinReference, pinTryLimit } = active(card).profile;
  const isChange = command.p2 === PIN_CHANGE || command.p2 === PIN_CHANGE_WITH_CURRENT;
  if (command.p1 !== 0 || (!isChange && command.p2 !== PIN_UNBLOCK)) return SW_6A86_WRONG_P1_P2;
  // A card without offline PIN has none to change.
  if (isChange && !pinReference) return SW_6A86_WRONG_P1_P2;
  const unblocked = withState(card, { pinTryCounter: pinTryLimit });
  if (!isChange || !pinReference) return plain.length === 0 ? unblocked : SW_6700_WRONG_LENGTH;
  if (plain.length !== data.PIN_CHANGE_DATA_BYTES) return SW_6700_WRONG_LENGTH;
  const block = data.decipherPinChange(ports.ciphers, {
    algorithm: data.iadAlgorithm(card.session.isSm),
    sessionKeyEnc: sessionKey(card, 'enc', ports),
    enciphered: plain,
  });
  if (!block) return SW_6988_SECURE_MESSAGING_DATA_INCORRECT;
  const isMixed = command.p2 === PIN_CHANGE_WITH_CURRENT;
  const reference = isMixed ? xorBytes(block, pinReference) : block;
  if (!data.isPinBlockFormat2(reference)) return SW_6A80_WRONG_DATA;
  return withGrouping(unblocked, data.DGI_PIN_REFERENCE, toHex(reference));
}

/** What an issuer may change after personalisation, where it was personalised. @see PBOC3 P5 */
const PUTTABLE: ReadonlySet<string> = new Set([
  data.TAG_9F52_PBOC_APPLICATION_DEFAULT_ACTION,
  data.TAG_9F53_PBOC_CONSECUTIVE_LIMIT_INTERNATIONAL,
  data.TAG_9F54_PBOC_CUMULATIVE_AMOUNT_LIMIT,
  data.TAG_9F55_PBOC_GEOGRAPHIC_INDICATOR,
  data.TAG_9F56_PBOC_ISSUER_AUTHENTICATION_INDICATOR,
  data.TAG_9F58_PBOC_LOWER_CONSECUTIVE_OFFLINE_LIMIT,
  data.TAG_9F59_PBOC_UPPER_CONSECUTIVE_OFFLINE_LIMIT,
  data.TAG_9F5C_PBOC_CUMULATIVE_AMOUNT_UPPER_LIMIT,
  data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS,
  data.TAG_9F6D_PBOC_EC_RESET_THRESHOLD,
  data.TAG_9F77_PBOC_EC_BALANCE_LIMIT,
  data.TAG_9F78_PBOC_EC_SINGLE_TRANSACTION_LIMIT,
  data.TAG_9F79_PBOC_EC_BALANCE,
  data.TAG_DF76_PBOC_SECOND_EC_RESET_THRESHOLD,
  data.TAG_DF77_PBOC_SECOND_EC_BALANCE_LIMIT,
  data.TAG_DF78_PBOC_SECOND_EC_SINGLE_TRANSACTION_LIMIT,
  data.TAG_DF79_PBOC_SECOND_EC_BALANCE,
]);
const DECIMAL = /^[0-9]+$/;

/** PUT DATA: P1 P2 name the object; a balance is the new total of a load. */
export function putData(card: Snapshot, { command, plain }: Script): Snapshot | StatusWord {
  const tag = toHex(Uint8Array.of(command.p1, command.p2));
  const { application, profile } = active(card);
  if (!PUTTABLE.has(tag) || !profile.objects.has(tag)) return SW_6A88_REFERENCED_DATA_NOT_FOUND;
  if (!data.isDataElementLength(tag, plain)) return SW_6700_WRONG_LENGTH;
  const isNumeric = data.DATA_ELEMENTS[tag]?.format === 'n';
  if (isNumeric && !DECIMAL.test(toHex(plain))) return SW_6A80_WRONG_DATA;
  const purse = purseOfBalanceTag(tag);
  if (purse !== null) return load(card, { purse, tag, afterMinor: minorOf(plain) });
  const objects = data.iccDgi(application, data.DGI_INTERNAL_DATA);
  const changed = readableTlv(objects).map((object) =>
    encodeTlv(object.tag, object.tag === tag ? plain : object.value),
  );
  return withGrouping(card, data.DGI_INTERNAL_DATA, toHex(concatBytes(...changed)));
}

/** A new total, within the issuer's own limit; a rise is logged as a load. @see PBOC3 P13 */
function load(
  card: Snapshot,
  total: { readonly purse: PurseName; readonly tag: string; readonly afterMinor: bigint },
): Snapshot | StatusWord {
  const { purse, tag, afterMinor } = total;
  const { profile, state } = active(card);
  if (state.electronicCash === null) return SW_6A88_REFERENCED_DATA_NOT_FOUND;
  if (afterMinor > balanceLimit(profile, purse)) return SW_6A80_WRONG_DATA;
  const beforeMinor = balanceOf(card, purse);
  const loaded = withBalance(card, purse, afterMinor);
  if (afterMinor <= beforeMinor) return loaded;
  return withLoadLogEntry(loaded, { tag, beforeMinor, afterMinor });
}

/** P2 bits 3-1: P1 is a record number. */
const BY_NUMBER = 0x04;
const SFI_MAX = 30;

/** UPDATE RECORD: the whole record anew. Logs are the card's own. */
export function updateRecord(card: Snapshot, { command, plain }: Script): Snapshot | StatusWord {
  const sfi = command.p2 >> 3;
  if ((command.p2 & 0x07) !== BY_NUMBER || sfi === 0 || sfi > SFI_MAX) return SW_6A86_WRONG_P1_P2;
  const { application } = active(card);
  if (!hasFile(application, sfi)) return SW_6A82_FILE_NOT_FOUND;
  if (!recordValue(application, sfi, command.p1)) return SW_6A83_RECORD_NOT_FOUND;
  const [template, ...more] = readableTlv(plain);
  const isRecord = template?.tag === data.TAG_70_READ_RECORD_TEMPLATE && more.length === 0;
  if (!isRecord) return SW_6A80_WRONG_DATA;
  return withGrouping(card, recordKey(sfi, command.p1), toHex(plain));
}
