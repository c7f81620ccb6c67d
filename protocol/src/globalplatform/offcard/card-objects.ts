/** Reading what a card says of itself, also of cards that do it badly. @see GPCS 2.3.1 §11.3 */
import { bytesToUint, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeTlv,
  findTlv,
  type ResponseApdu,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6E00_CLASS_NOT_SUPPORTED,
  SW_9000_OK,
  type Tlv,
} from '../../iso7816/index.ts';
import {
  CLA_GLOBALPLATFORM,
  CLA_ISO,
  decodeOneLevel,
  GlobalPlatformError,
  TAG_9F65_COMMAND_DATA_BYTES_MAX,
  TAG_84_DEDICATED_FILE_NAME,
} from '../data/index.ts';
import { getDataCommand } from './commands.ts';
import { assertStatus } from './open.ts';

/** Ways of a card to say that it has no such object. */
const ABSENT: readonly number[] = [
  ...[SW_6A88_REFERENCED_DATA_NOT_FOUND, SW_6A86_WRONG_P1_P2],
  ...[SW_6D00_INSTRUCTION_NOT_SUPPORTED, SW_6E00_CLASS_NOT_SUPPORTED],
];

/**
 * The value of an object, asked for in both classes (report 9); null when the card has none.
 * QUIRK: some cards answer the value without tag and length around it.
 * @throws GlobalPlatformError `ERR_GP_STATUS` for any other status word.
 */
export function* readCardObject(
  tag: string,
): Generator<CommandApdu, Uint8Array | null, ResponseApdu> {
  for (const cla of [CLA_GLOBALPLATFORM, CLA_ISO]) {
    const response = yield getDataCommand(tag, cla);
    if (response.statusWord === SW_9000_OK) return bareValue(tag, response.data);
    assertStatus('GET DATA', response, ABSENT);
  }
  return null;
}

function bareValue(tag: string, data: Uint8Array): Uint8Array {
  if (!toHex(data).startsWith(tag)) return data;
  try {
    const [object] = decodeOneLevel(data);
    return object?.tag === tag ? object.value : data;
  } catch (thrown) {
    // The value alone happens to begin with the bytes of its tag.
    if (thrown instanceof GlobalPlatformError) return data;
    throw thrown;
  }
}

/** What SELECT of a domain says; null where it says nothing. */
export type SelectAnswer = { readonly aid: string | null; readonly commandBytesMax: number | null };

/** Reads it; an answer that is no TLV says nothing. */
export function decodeSelectAnswer(data: Uint8Array): SelectAnswer {
  let objects: readonly Tlv[];
  try {
    objects = decodeTlv(data);
  } catch {
    // An answer of an application may be anything; nothing is known of it then.
    return { aid: null, commandBytesMax: null };
  }
  const name = findTlv(objects, TAG_84_DEDICATED_FILE_NAME)?.value;
  const most = findTlv(objects, TAG_9F65_COMMAND_DATA_BYTES_MAX)?.value;
  const isNumber = most !== undefined && most.length > 0 && most.length <= 4;
  return {
    aid: name ? toHex(name) : null,
    commandBytesMax: isNumber ? bytesToUint(most) : null,
  };
}

/**
 * How an application is personalised after INSTALL [for personalization] was answered: through its
 * domain, or, by a card that does not know that, in the application's own channel (report 23).
 * @throws GlobalPlatformError `ERR_GP_STATUS` for a refusal that is another.
 */
export function personalisationWay(response: ResponseApdu): 'domain' | 'ownChannel' {
  if (response.statusWord === SW_9000_OK) return 'domain';
  assertStatus('INSTALL [for personalization]', response, [
    ...[SW_6A86_WRONG_P1_P2, SW_6D00_INSTRUCTION_NOT_SUPPORTED],
  ]);
  return 'ownChannel';
}
