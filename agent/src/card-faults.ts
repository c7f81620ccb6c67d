/** Laboratory faults of a card, as decorators of its channel: pulled out, or lying. */
import {
  type CardChannel,
  decodeResponse,
  decodeTlv,
  encodeResponse,
  type ResponseApdu,
  type Tlv,
} from '@tapnpay/protocol/iso7816';
import { AgentError } from './errors.ts';
import { cardRemoved } from './virtual-cards.ts';

const INS_GET_PROCESSING_OPTIONS = 0xa8;
const INS_GENERATE_AC = 0xae;
/** P1 bits 8-7 of GENERATE AC: 10 asks for an ARQC. @see EMV 4.3 B3 §6.5.5 */
const P1_ASKS_ARQC = 0x80;
const TAG_80_FORMAT_1 = '80';
const TAG_9F26_CRYPTOGRAM = '9F26';
/** CID and ATC come before the cryptogram in format 1. @see EMV 4.3 B3 §6.5.5.4 */
const FORMAT_1_CRYPTOGRAM_OFFSET_BYTES = 3;
const CRYPTOGRAM_BYTES = 8;
const APDU_NUMBER_MAX = 255;

/**
 * A card fault by name; null for a name that is no card fault. It counts the APDUs of one
 * presentation: give it each presented card anew.
 */
export function cardFault(name: string): ((card: CardChannel) => CardChannel) | null {
  if (name === 'flip-arqc') return flipArqc;
  if (!name.startsWith('card-removed')) return null;
  const apduNumber = Number(/^card-removed@([0-9]{1,3})$/.exec(name)?.[1] ?? 0);
  if (apduNumber >= 1 && apduNumber <= APDU_NUMBER_MAX) {
    return (card) => removeBefore(card, apduNumber);
  }
  throw new AgentError('ERR_CARD_FAULT', `write card-removed@N with N from 1 to 255, not ${name}`);
}

/** The card is gone before APDU number `apduNumber` (1 is the first) and stays away. */
export function removeBefore(card: CardChannel, apduNumber: number): CardChannel {
  let count = 0;
  return {
    transmit: async (command) => {
      count += 1;
      if (count >= apduNumber) throw cardRemoved({ apduNumber });
      return await card.transmit(command);
    },
  };
}

/**
 * One bit of the first ARQC is wrong: in the answer to the GENERATE AC that asks for it, or in that
 * of a contactless GET PROCESSING OPTIONS.
 */
export function flipArqc(card: CardChannel): CardChannel {
  let flipped = false;
  return {
    transmit: async (command) => {
      const answer = await card.transmit(command);
      const offsetOf = flipped ? null : cryptogramOffsetIn(command);
      if (offsetOf === null) return answer;
      const response = decodeResponse(answer);
      const offsetBytes = offsetOf(response);
      if (offsetBytes === null) return answer;
      flipped = true;
      const data = response.data.slice();
      const last = offsetBytes + CRYPTOGRAM_BYTES - 1;
      data[last] = (data[last] ?? 0) ^ 0x01;
      return encodeResponse({ data, statusWord: response.statusWord });
    },
  };
}

/** How to find the cryptogram in the answer to this command; null when it brings none. */
function cryptogramOffsetIn(
  command: Uint8Array,
): ((response: ResponseApdu) => number | null) | null {
  const [, ins, p1] = command;
  if (ins === INS_GENERATE_AC && p1 === P1_ASKS_ARQC) {
    return (response) => format1Offset(response) ?? format2Offset(response);
  }
  // By contact the same command answers AIP and AFL, which hold no 9F26.
  return ins === INS_GET_PROCESSING_OPTIONS ? format2Offset : null;
}

function templateOf({ data }: ResponseApdu): Tlv | undefined {
  return data.length === 0 ? undefined : decodeTlv(data)[0];
}

function format1Offset(response: ResponseApdu): number | null {
  const template = templateOf(response);
  if (template?.tag !== TAG_80_FORMAT_1) return null;
  return response.data.length - template.value.length + FORMAT_1_CRYPTOGRAM_OFFSET_BYTES;
}

function format2Offset(response: ResponseApdu): number | null {
  const object = templateOf(response)?.children?.find(({ tag }) => tag === TAG_9F26_CRYPTOGRAM);
  // Two bytes of tag, one of length.
  return object === undefined ? null : object.offsetBytes + 3;
}
