/** Laboratory faults of a card, as decorators of its channel: pulled out, or lying. */
import {
  type CardChannel,
  decodeResponse,
  decodeTlv,
  encodeResponse,
  type ResponseApdu,
} from '@tapnpay/protocol/iso7816';
import { AgentError } from './errors.ts';
import { cardRemoved } from './virtual-cards.ts';

const INS_GENERATE_AC = 0xae;
/** P1 bits 8-7 of GENERATE AC: 10 asks for an ARQC. @see EMV 4.3 B3 §6.5.5 */
const P1_ASKS_ARQC = 0x80;
const TAG_80_FORMAT_1 = '80';
const TAG_9F26_CRYPTOGRAM = '9F26';
/** CID and ATC come before the cryptogram in format 1. @see EMV 4.3 B3 §6.5.5.4 */
const FORMAT_1_CRYPTOGRAM_OFFSET_BYTES = 3;
const CRYPTOGRAM_BYTES = 8;
const APDU_NUMBER_MAX = 255;

/** A card fault by name; null for a name that is no card fault. */
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

/** One bit of the cryptogram is wrong in the answer to the GENERATE AC that asks for an ARQC. */
export function flipArqc(card: CardChannel): CardChannel {
  let flipped = false;
  return {
    transmit: async (command) => {
      const answer = await card.transmit(command);
      const isFirst = command[1] === INS_GENERATE_AC && command[2] === P1_ASKS_ARQC;
      if (flipped || !isFirst) return answer;
      const response = decodeResponse(answer);
      const offsetBytes = cryptogramOffset(response);
      if (offsetBytes === null) return answer;
      flipped = true;
      const data = response.data.slice();
      const last = offsetBytes + CRYPTOGRAM_BYTES - 1;
      data[last] = (data[last] ?? 0) ^ 0x01;
      return encodeResponse({ data, statusWord: response.statusWord });
    },
  };
}

/** Where the cryptogram stands in the answer, or null when there is none. */
function cryptogramOffset({ data }: ResponseApdu): number | null {
  if (data.length === 0) return null;
  const [template] = decodeTlv(data);
  if (template === undefined) return null;
  const valueOffsetBytes = data.length - template.value.length;
  if (template.tag === TAG_80_FORMAT_1) return valueOffsetBytes + FORMAT_1_CRYPTOGRAM_OFFSET_BYTES;
  const object = template.children?.find((child) => child.tag === TAG_9F26_CRYPTOGRAM);
  // Two bytes of tag, one of length.
  return object === undefined ? null : object.offsetBytes + 3;
}
