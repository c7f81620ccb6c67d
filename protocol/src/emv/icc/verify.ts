/** VERIFY: offline PIN, clear or enciphered. @see EMV 4.3 B3 §6.5.12; EMV 4.3 B2 §7 */
import { equalBytes } from '../../bytes/index.ts';
import { CryptoError, rsaRaw } from '../../crypto/index.ts';
import {
  type CommandApdu,
  StatusWord,
  SW_6A86_WRONG_P1_P2,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6700_WRONG_LENGTH,
  SW_6983_AUTHENTICATION_METHOD_BLOCKED,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { CardRsaKey } from './runtime-profile.ts';
import {
  active,
  answerStatus,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** P2: how the PIN comes. @see EMV 4.3 B3 §6.5.12 table 23 */
const P2_PLAINTEXT = 0x80;
const P2_ENCIPHERED = 0x88;
const PIN_BLOCK_BYTES = 8;
/** Header, PIN block and challenge at the head of what the terminal enciphers. */
const PIN_DATA_HEADER = 0x7f;
const CHALLENGE_OFFSET_BYTES = 1 + PIN_BLOCK_BYTES;
const CHALLENGE_BYTES = 8;
/** 63Cx: x tries are left. */
const SW_63C0_TRIES_LEFT = 0x63c0;

/** The key under which a PIN may come: its own one, else the card's key. @see EMV 4.3 B2 §7.1 */
export function pinKey(card: Snapshot): CardRsaKey | null {
  const { profile } = active(card);
  if (!profile.pinReference) return null;
  return profile.pinRsaKey ?? profile.rsaKey;
}

/**
 * Compares the PIN, between GPO and the first GENERATE AC. A wrong one costs a try at once; what
 * does not decipher counts as a wrong one, so that nobody learns which it was. Tries that were used
 * up in an earlier transaction are answered 6984, in this one 6983.
 */
export function verify(card: Snapshot, command: CommandApdu): Outcome {
  const { profile, state } = active(card);
  const reference = profile.pinReference;
  if (!reference) return answerStatus(card, SW_6D00_INSTRUCTION_NOT_SUPPORTED);
  const isEnciphered = command.p2 === P2_ENCIPHERED;
  const key = isEnciphered ? pinKey(card) : null;
  const isKnown = command.p2 === P2_PLAINTEXT || key !== null;
  if (command.p1 !== 0 || !isKnown) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  const { challenge, offlinePin, phase } = card.session;
  const isTime = phase === 'initiated' && (!isEnciphered || challenge !== null);
  if (!isTime) return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  if (state.pinTryCounter === 0) {
    const isOfNow = offlinePin !== 'notPerformed';
    const blocked = isOfNow
      ? SW_6983_AUTHENTICATION_METHOD_BLOCKED
      : SW_6984_REFERENCED_DATA_INVALIDATED;
    return answerStatus(card, blocked);
  }
  const given = command.data ?? new Uint8Array(0);
  const wantedBytes = key ? key.modulus.length : PIN_BLOCK_BYTES;
  if (given.length !== wantedBytes) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const block = key ? decipheredBlock(key, given, challenge) : given;
  return block && equalBytes(block, reference) ? verified(card) : failed(card);
}

/** The PIN block in enciphered data; undefined when header or challenge are not right. */
function decipheredBlock(
  key: CardRsaKey,
  enciphered: Uint8Array,
  challenge: Uint8Array | null,
): Uint8Array | undefined {
  try {
    const clear = rsaRaw(key.modulus, key.privateExponent, enciphered);
    const end = CHALLENGE_OFFSET_BYTES + CHALLENGE_BYTES;
    const echoed = clear.subarray(CHALLENGE_OFFSET_BYTES, end);
    const isSound =
      clear[0] === PIN_DATA_HEADER && challenge !== null && equalBytes(echoed, challenge);
    return isSound ? clear.slice(1, CHALLENGE_OFFSET_BYTES) : undefined;
  } catch (thrown) {
    // A datum above the modulus was not enciphered under this key.
    if (thrown instanceof CryptoError) return undefined;
    throw thrown;
  }
}

function verified(card: Snapshot): Outcome {
  const { profile } = active(card);
  const counted = withState(card, { pinTryCounter: profile.pinTryLimit });
  return answerStatus(withSession(counted, { offlinePin: 'verified' }), SW_9000_OK);
}

/** The last try may block the application by the issuer's order. @see PBOC3 P5 (9F52) */
function failed(card: Snapshot): Outcome {
  const { profile, state } = active(card);
  const pinTryCounter = state.pinTryCounter - 1;
  const isBlocked =
    pinTryCounter === 0 &&
    data.hasBit(profile.policy.applicationDefaultAction, data.ADA_2_PIN_TRY_LIMIT_BLOCK);
  const counted = withState(card, {
    pinTryCounter,
    applicationBlocked: state.applicationBlocked || isBlocked,
  });
  const next = withSession(counted, { offlinePin: 'failed', isBlockedByPin: isBlocked });
  return answerStatus(next, StatusWord(SW_63C0_TRIES_LEFT | pinTryCounter));
}
