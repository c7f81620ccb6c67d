/**
 * SELECT by name, by part of a name, and the next of that part; MANAGE CHANNEL.
 * @see GPCS 2.3.1 §11.7, §11.9
 */
import { concatBytes, fromHex, toHex, uintToBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  type ResponseApdu,
  SW_6A81_FUNCTION_NOT_SUPPORTED,
  SW_6A82_FILE_NOT_FOUND,
  SW_6A86_WRONG_P1_P2,
  SW_6283_SELECTED_FILE_INVALIDATED,
  SW_9000_OK,
} from '../../iso7816/index.ts';
import {
  AID_BYTES_MAX,
  CARD_7F_CARD_LOCKED,
  hasPrivilege,
  isSelectable,
  LOGICAL_CHANNELS_MAX,
  SW_6881_CHANNEL_NOT_SUPPORTED,
  SW_6999_APPLET_SELECT_FAILED,
  TAG_6F_FCI_TEMPLATE,
  TAG_9F65_COMMAND_DATA_BYTES_MAX,
  TAG_84_DEDICATED_FILE_NAME,
  TAG_A5_FCI_PROPRIETARY,
} from '../data/index.ts';
import { guarded, instanceOf, takeResult, unhindered } from './applets.ts';
import { recognitionData } from './card-data.ts';
import type { CardEntry, CardState } from './state.ts';
import {
  CardRefusal,
  dataOf,
  endSession,
  newChannel,
  ok,
  requireCondition,
  requireData,
  type Work,
} from './work.ts';

const P1_BY_NAME = 0x04;
const P2_FIRST = 0x00;
const P2_NEXT = 0x02;

/** What is selected after reset and on a new channel. @see GPCS 2.3.1 §6.4.1 */
export function defaultSelection(state: CardState): string {
  const isDefault = (entry: CardEntry): boolean =>
    hasPrivilege(entry.privileges, 'cardReset') && isOpenToSelect(state, entry);
  const own = state.entries.find((entry) => entry.kind === 'application' && isDefault(entry));
  return own?.aid ?? state.issuerDomainAid;
}

/**
 * Whether SELECT finds an entry. A locked one is like an absent one; on a locked card there is
 * the issuer's domain and a final application only.
 */
function isOpenToSelect(state: CardState, entry: CardEntry): boolean {
  if (entry.aid === state.issuerDomainAid) return true;
  if (!isSelectable(entry.lifeCycle)) return false;
  const isCardLocked = state.lifeCycle === CARD_7F_CARD_LOCKED;
  return !isCardLocked || hasPrivilege(entry.privileges, 'finalApplication');
}

/** SELECT. */
export function select(work: Work, command: CommandApdu): ResponseApdu {
  if (command.p1 !== P1_BY_NAME || ![P2_FIRST, P2_NEXT].includes(command.p2)) {
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'selection by name only');
  }
  const name = dataOf(command);
  requireData(name.length <= AID_BYTES_MAX, 'a name has at most 16 bytes');
  const { state, channel } = work;
  const wanted = name.length === 0 ? state.issuerDomainAid : toHex(name);
  const fitting = state.entries.filter(
    (entry) => entry.aid.startsWith(wanted) && isOpenToSelect(state, entry),
  );
  const isNext = command.p2 === P2_NEXT;
  const place = fitting.findIndex(({ aid }) => aid === channel.selectedAid);
  requireCondition(!isNext || place >= 0, 'nothing of that name was selected before');
  const exact = fitting.find(({ aid }) => aid === wanted);
  const entry = isNext ? fitting[place + 1] : (exact ?? fitting[0]);
  if (!entry) throw new CardRefusal(SW_6A82_FILE_NOT_FOUND, 'no such application');
  return enter(work, entry, command);
}

function enter(work: Work, entry: CardEntry, command: CommandApdu): ResponseApdu {
  const response =
    entry.kind === 'domain'
      ? domainAnswer(work, entry.aid)
      : enterApplication(work, entry, command);
  leave(work, entry.aid);
  work.channel.selectedAid = entry.aid;
  endSession(work.channel);
  return response;
}

function enterApplication(
  work: Work,
  entry: Extract<CardEntry, { readonly kind: 'application' }>,
  command: CommandApdu,
): ResponseApdu {
  const instance = instanceOf(work.state, entry);
  const result = guarded(work, entry.aid, () => work.ports.runner.select(instance, command));
  if (result.response.statusWord !== SW_9000_OK) {
    throw new CardRefusal(SW_6999_APPLET_SELECT_FAILED, 'the application does not want');
  }
  takeResult(work, entry, result);
  return result.response;
}

/** Tells an application that it is selected no more. */
function leave(work: Work, nextAid: string): void {
  const { selectedAid } = work.channel;
  const entry = work.state.entries.find(({ aid }) => aid === selectedAid);
  if (entry?.kind !== 'application' || selectedAid === nextAid) return;
  unhindered(work, () => work.ports.runner.deselect(selectedAid));
}

function domainAnswer(work: Work, aid: string): ResponseApdu {
  const { commandBytesMax } = work.profile;
  const proprietary = concatBytes(
    recognitionData(work.profile),
    encodeTlv(TAG_9F65_COMMAND_DATA_BYTES_MAX, uintToBytes(commandBytesMax, 2)),
  );
  const data = encodeTlv(
    TAG_6F_FCI_TEMPLATE,
    concatBytes(
      encodeTlv(TAG_84_DEDICATED_FILE_NAME, fromHex(aid)),
      encodeTlv(TAG_A5_FCI_PROPRIETARY, proprietary),
    ),
  );
  const isCardLocked = work.state.lifeCycle === CARD_7F_CARD_LOCKED;
  return { data, statusWord: isCardLocked ? SW_6283_SELECTED_FILE_INVALIDATED : SW_9000_OK };
}

/** MANAGE CHANNEL: opens the lowest free channel or closes one. @see GPCS 2.3.1 §11.7 */
export function manageChannel(work: Work, { p1, p2 }: CommandApdu): ResponseApdu {
  const { channels } = work;
  if (p1 === 0x00 && p2 === 0x00) {
    const free = [1, 2, 3].find((number) => !channels.has(number));
    if (free === undefined || free > LOGICAL_CHANNELS_MAX) {
      throw new CardRefusal(SW_6A81_FUNCTION_NOT_SUPPORTED, 'all channels are open');
    }
    const channel = newChannel(free, defaultSelection(work.state));
    channels.set(free, channel);
    return ok(Uint8Array.of(free));
  }
  if (p1 !== 0x80 || p2 === 0x00) {
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'neither opens nor closes a channel');
  }
  if (!channels.has(p2)) throw new CardRefusal(SW_6881_CHANNEL_NOT_SUPPORTED, 'it is not open');
  channels.delete(p2);
  return ok();
}
