/** STORE DATA: the card is written, once. @see GPCS 2.3.1 §11.11, EMV CPS 1.1 §4.3 */
import { fromHex, TapError } from '../../bytes/index.ts';
import { tdesDecrypt } from '../../crypto/index.ts';
import {
  type CommandApdu,
  type StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A86_WRONG_P1_P2,
  SW_6A88_REFERENCED_DATA_NOT_FOUND,
  SW_6700_WRONG_LENGTH,
  SW_6982_SECURITY_STATUS_NOT_SATISFIED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { runnableImage } from './check-image.ts';
import {
  answerStatus,
  type Outcome,
  SESSION_AFTER_RESET,
  type Snapshot,
  withSession,
} from './session.ts';

const CIPHER_BLOCK_BYTES = 8;

/**
 * One block of groupings for what is selected. The last one ends the personalisation of the target;
 * when nothing is left to write the card is operational and takes no STORE DATA any more. A block
 * that is refused writes nothing: the bureau selects again and starts at block 0.
 */
export function storeData(card: Snapshot, command: CommandApdu): Outcome {
  const target = targetOf(card);
  if (card.image.life !== 'personalisation' || !target) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const block = readBlock(command);
  if (typeof block === 'number') return answerStatus(card, block);
  if (block.blockNumber !== card.session.storeData.nextBlock) {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  try {
    return store(card, target, block);
  } catch (thrown) {
    if (thrown instanceof TapError) return answerStatus(card, statusWordOf(thrown));
    throw thrown;
  }
}

/** What the selected file takes. */
function targetOf(card: Snapshot): data.StoreDataTarget | undefined {
  const { selected } = card.session;
  if (selected.kind === 'none') return undefined;
  if (selected.kind !== 'application') return { kind: selected.kind };
  const application = card.image.applications[selected.index];
  if (!application || application.isPersonalised) return undefined;
  return { kind: 'application', aid: application.aid };
}

function readBlock(command: CommandApdu): data.StoreDataBlock | StatusWord {
  if (command.data === undefined) return SW_6700_WRONG_LENGTH;
  try {
    return data.decodeStoreData(command);
  } catch (thrown) {
    if (thrown instanceof data.EmvDataError) return SW_6A86_WRONG_P1_P2;
    throw thrown;
  }
}

/** @throws TapError for groupings, and for values that no card can run on. */
function store(card: Snapshot, target: data.StoreDataTarget, block: data.StoreDataBlock): Outcome {
  const { progress, dgis } = data.acceptStoreData(card.session.storeData, block);
  let { image } = card;
  for (const dgi of dgis) {
    const clear = block.isEnciphered ? deciphered(card, dgi) : dgi;
    if (typeof clear === 'number') return answerStatus(card, clear);
    // A secret that comes in clear was not meant for a card.
    if (!block.isEnciphered && data.isSecretDgi(dgi.id)) {
      return answerStatus(card, SW_6982_SECURITY_STATUS_NOT_SATISFIED);
    }
    image = data.withDgi(image, target, clear);
  }
  if (!block.isLast) {
    return answerStatus(withSession({ ...card, image }, { storeData: progress }), SW_9000_OK);
  }
  const written = data.withLastStoreData(image, target);
  runnableImage(written);
  const session = SESSION_AFTER_RESET;
  return answerStatus({ ...card, image: written, session }, SW_9000_OK);
}

/** 3DES under the transport key, block by block. */
function deciphered(card: Snapshot, dgi: data.Dgi): data.Dgi | StatusWord {
  const isWhole = dgi.value.length > 0 && dgi.value.length % CIPHER_BLOCK_BYTES === 0;
  if (!isWhole) return SW_6700_WRONG_LENGTH;
  if (card.image.transportKey === '') return SW_6982_SECURITY_STATUS_NOT_SATISFIED;
  return { id: dgi.id, value: tdesDecrypt(fromHex(card.image.transportKey), dgi.value) };
}

/** A grouping that the target does not take is not found; everything else is wrong data. */
function statusWordOf(fault: TapError): StatusWord {
  const isUnknown = fault.code === 'ERR_STORE_DATA' && 'id' in fault.data;
  return isUnknown ? SW_6A88_REFERENCED_DATA_NOT_FOUND : SW_6A80_WRONG_DATA;
}
