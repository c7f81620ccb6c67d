/** GET PROCESSING OPTIONS: starting a transaction. @see EMV 4.3 B3 §6.5.8 */
import { concatBytes, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { dolBytes, dolValues } from './dol-values.ts';
import { purseOfTransaction } from './purse.ts';
import type { Options } from './runtime-profile.ts';
import {
  active,
  answer,
  answerStatus,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** Last counter; a card that has used it does no more transactions. @see EMV 4.3 B3 Annex A */
const ATC_MAX = 0xffff;
/** Bits of 9F55: the application works in its own country, in others. @see PBOC3 P5 (9F55) */
const GEOGRAPHY_DOMESTIC = 0x80;
const GEOGRAPHY_INTERNATIONAL = 0x40;

/** GET PROCESSING OPTIONS by contact: counts the transaction, gives AIP and AFL. */
export function getProcessingOptions(card: Snapshot, command: CommandApdu): Outcome {
  const heard = hearOptions(card, command);
  if (typeof heard === 'number') return answerStatus(card, heard);
  const indicator = data.TAG_9F7A_PBOC_EC_TERMINAL_SUPPORT_INDICATOR;
  const wantsPurse = heard.session.values.get(indicator)?.[0] === 0x01;
  const purse = wantsPurse ? purseOfTransaction(heard) : null;
  const chosen = withSession(heard, { phase: 'initiated', purse });
  const { options } = active(chosen);
  if (!options || isCounterSpent(card)) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  return answer(withCountedTransaction(chosen), optionsAnswer(options));
}

/** Format 1 or 2, as personalised; a card without AFL gives none. */
function optionsAnswer({ aip, afl, isFormat2 }: Options): Uint8Array {
  if (!isFormat2) return encodeTlv(data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1, concatBytes(aip, afl));
  const locator = encodeTlv(data.TAG_94_APPLICATION_FILE_LOCATOR, afl);
  const objects = concatBytes(
    encodeTlv(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, aip),
    afl.length === 0 ? afl : locator,
  );
  return encodeTlv(data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2, objects);
}

/** Whether the last counter is used. */
export function isCounterSpent(card: Snapshot): boolean {
  return active(card).state.atc >= ATC_MAX;
}

/** The card in its next transaction. */
export function withCountedTransaction(card: Snapshot): Snapshot {
  return withState(card, { atc: active(card).state.atc + 1 });
}

/**
 * The card with the terminal's values of the PDOL and the algorithms that follow from them, or what
 * is wrong with command or moment.
 */
export function hearOptions(card: Snapshot, command: CommandApdu): Snapshot | StatusWord {
  const { application, side } = active(card);
  if (card.session.phase !== 'selected' || !side?.pdol) return SW_6985_CONDITIONS_NOT_SATISFIED;
  if (command.p1 !== 0 || command.p2 !== 0) return SW_6A86_WRONG_P1_P2;
  const wantedBytes = dolBytes(side.pdol);
  const prefix = encodeTlv(data.TAG_83_COMMAND_TEMPLATE, new Uint8Array(wantedBytes));
  const header = prefix.subarray(0, prefix.length - wantedBytes);
  const template = command.data ?? new Uint8Array(0);
  if (template.length !== prefix.length) return SW_6700_WRONG_LENGTH;
  if (header.some((value, index) => value !== template[index])) return SW_6A80_WRONG_DATA;
  const bytes = template.slice(header.length);
  const values = dolValues(side.pdol, bytes);
  const indicator = values.get(data.TAG_DF69_PBOC_SM_SUPPORT_INDICATOR);
  const isSm = data.isSmChosen(application, indicator);
  const heard = withSession(card, { values, dolBytes: [bytes], isSm });
  return isPlaceAllowed(heard) ? heard : SW_6985_CONDITIONS_NOT_SATISFIED;
}

/** Geographic restriction, when the issuer set one and the terminal says where it stands. */
function isPlaceAllowed(card: Snapshot): boolean {
  const { objects } = active(card).profile;
  const allowed = objects.get(data.TAG_9F55_PBOC_GEOGRAPHIC_INDICATOR)?.[0];
  const home = objects.get(data.TAG_9F57_PBOC_ISSUER_COUNTRY_CODE);
  const here = card.session.values.get(data.TAG_9F1A_TERMINAL_COUNTRY_CODE);
  if (allowed === undefined || !home || !here) return true;
  const isDomestic = toHex(home) === toHex(here);
  return (allowed & (isDomestic ? GEOGRAPHY_DOMESTIC : GEOGRAPHY_INTERNATIONAL)) !== 0;
}
