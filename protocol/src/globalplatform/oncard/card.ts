/**
 * The card: takes one command, answers, and has made the next state last or none. Nothing that
 * comes over the wire makes it throw. @see GPCS 2.3.1 §6
 */
import { errorBody, TapError } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeCommand,
  encodeResponse,
  type ResponseApdu,
  type StatusWord,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6E00_CLASS_NOT_SUPPORTED,
  SW_6F00_NO_PRECISE_DIAGNOSIS,
  SW_6700_WRONG_LENGTH,
  SW_6982_SECURITY_STATUS_NOT_SATISFIED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import {
  CARD_FF_TERMINATED,
  CLA_BIT_SECURE_MESSAGING,
  CLA_BITS_CHANNEL,
  CLA_GLOBALPLATFORM,
  CLA_ISO,
  INS_50_INITIALIZE_UPDATE,
  INS_70_MANAGE_CHANNEL,
  INS_82_EXTERNAL_AUTHENTICATE,
  INS_A4_SELECT,
  INS_CA_GET_DATA,
  INS_CB_GET_DATA,
  INS_D8_PUT_KEY,
  INS_E2_STORE_DATA,
  INS_E4_DELETE,
  INS_E6_INSTALL,
  INS_E8_LOAD,
  INS_F0_SET_STATUS,
  INS_F2_GET_STATUS,
  LEVEL_01_C_MAC,
  SW_6581_MEMORY_FAILURE,
  SW_6881_CHANNEL_NOT_SUPPORTED,
} from '../data/index.ts';
import { forget, processInApplet, takeResult } from './applets.ts';
import { externalAuthenticate, initializeUpdate } from './authenticate.ts';
import { getData } from './card-data.ts';
import { deleteObject } from './delete.ts';
import { getStatus } from './get-status.ts';
import { install } from './install.ts';
import { load } from './load.ts';
import type { CardPorts } from './ports.ts';
import type { CardProfile } from './profile.ts';
import { putKey } from './put-key.ts';
import { defaultSelection, manageChannel, select } from './select.ts';
import { setStatus } from './set-status.ts';
import { type CardState, domainOf, entryOf } from './state.ts';
import { storeData } from './store-data.ts';
import {
  type CardChannel,
  CardRefusal,
  endSession,
  type Handler,
  newChannel,
  type Work,
} from './work.ts';

/** Commands of a security domain, in the order of the standard's chapters. */
const DOMAIN_COMMANDS: Readonly<Record<number, Handler>> = {
  [INS_E4_DELETE]: deleteObject,
  [INS_CA_GET_DATA]: getData,
  [INS_CB_GET_DATA]: getData,
  [INS_F2_GET_STATUS]: getStatus,
  [INS_E6_INSTALL]: install,
  [INS_E8_LOAD]: load,
  [INS_D8_PUT_KEY]: putKey,
  [INS_F0_SET_STATUS]: setStatus,
  [INS_E2_STORE_DATA]: storeData,
};
/** Commands that open a session; they are never inside one. */
const OPENING_COMMANDS: Readonly<Record<number, Handler>> = {
  [INS_50_INITIALIZE_UPDATE]: initializeUpdate,
  [INS_82_EXTERNAL_AUTHENTICATE]: externalAuthenticate,
};

/** A card in a reader. */
export interface Card {
  /** One command, one answer; never throws for what is in the command. */
  process(command: Uint8Array): Uint8Array;
  /** Power off and on: sessions and selections are gone, the state stays. */
  reset(): void;
  /** The state as it was last made to last. */
  state(): CardState;
  /**
   * Makes last what an application wrote outside of a command, in a conversation that the element
   * started. @throws GlobalPlatformError `ERR_GP_REFUSED` when it is not there, has no room for
   * that, or the store failed: then nothing of it lasts.
   */
  keepApplication(aid: string, persistent: Uint8Array): void;
}

/** A card of a profile over its ports; its state is what the store loads. */
export function createCard(profile: CardProfile, ports: CardPorts): Card {
  let state = ports.store.load();
  const channels = new Map<number, CardChannel>();
  const reset = (): void => {
    channels.clear();
    channels.set(0, newChannel(0, defaultSelection(state)));
  };
  reset();
  return {
    reset,
    state: () => state,
    keepApplication(aid, persistent): void {
      const application = entryOf(state, aid);
      if (application?.kind !== 'application') {
        throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, `no application ${aid}`);
      }
      const work = { ports, state };
      takeResult(work, application, { persistent });
      keep(work);
      state = work.state;
    },
    process(wire: Uint8Array): Uint8Array {
      const parsed = parse(wire, channels, profile.commandBytesMax);
      if ('statusWord' in parsed) return encodeResponse(bare(parsed.statusWord));
      const { command, channel } = parsed;
      const work: Work = {
        ...{ profile, ports, channel, channels, state },
        commit(): void {
          if (work.state === state) return;
          keep(work);
          state = work.state;
        },
      };
      return encodeResponse(answer(work, command));
    },
  };
}

function bare(statusWord: StatusWord): ResponseApdu {
  return { data: new Uint8Array(), statusWord };
}

/**
 * The command and its channel, or the status word of what is neither. A command of a wrong length
 * ends the session of its channel: it is one whose protection cannot be looked at.
 */
function parse(
  wire: Uint8Array,
  channels: ReadonlyMap<number, CardChannel>,
  dataBytesMax: number,
):
  | { readonly command: CommandApdu; readonly channel: CardChannel }
  | { readonly statusWord: StatusWord } {
  const channel = channels.get((wire[0] ?? 0) & CLA_BITS_CHANNEL);
  if (!channel) return { statusWord: SW_6881_CHANNEL_NOT_SUPPORTED };
  const command = decodedCommand(wire);
  if (command && (command.data?.length ?? 0) <= dataBytesMax) return { command, channel };
  endSession(channel);
  return { statusWord: SW_6700_WRONG_LENGTH };
}

function decodedCommand(wire: Uint8Array): CommandApdu | null {
  try {
    return decodeCommand(wire);
  } catch (thrown) {
    if (thrown instanceof TapError) return null;
    throw thrown;
  }
}

/** Runs a command: all of it lasts, or nothing but what it made last itself. */
function answer(work: Work, command: CommandApdu): ResponseApdu {
  const { channel } = work;
  const { session } = channel;
  try {
    const response = dispatch(work, command);
    work.commit();
    const isSame = channel.session !== null && channel.session === session;
    const isDomain = domainOf(work.state, channel.selectedAid) !== undefined;
    const isWrapped = isSame && isDomain && (command.cla & CLA_BIT_SECURE_MESSAGING) !== 0;
    return isWrapped ? session.messages.wrap(response, session.level) : response;
  } catch (thrown) {
    if (!(thrown instanceof CardRefusal)) {
      // A fault of our own: the card answers and goes on without its session.
      work.ports.report(errorBody(thrown));
      endSession(channel);
      return bare(SW_6F00_NO_PRECISE_DIAGNOSIS);
    }
    if (thrown.endsSession) endSession(channel);
    return bare(thrown.statusWord);
  }
}

/** @throws CardRefusal 6581 when the store keeps the old state; applications are then told so. */
function keep({ ports, state }: Pick<Work, 'ports' | 'state'>): void {
  try {
    ports.store.commit(state);
  } catch (thrown) {
    ports.report(errorBody(thrown));
    for (const { aid } of state.entries) forget({ ports }, aid);
    throw new CardRefusal(SW_6581_MEMORY_FAILURE, 'the store failed', { endsSession: true });
  }
}

function dispatch(work: Work, command: CommandApdu): ResponseApdu {
  const { state, channel } = work;
  const kind = command.cla & ~(CLA_BITS_CHANNEL | CLA_BIT_SECURE_MESSAGING);
  const isPlain = (command.cla & CLA_BIT_SECURE_MESSAGING) === 0;
  const isReading = command.ins === INS_CA_GET_DATA || command.ins === INS_CB_GET_DATA;
  if (state.lifeCycle === CARD_FF_TERMINATED && !isReading) {
    throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, 'the card is terminated');
  }
  // SELECT and MANAGE CHANNEL are the card's own, whatever is selected.
  if (kind === CLA_ISO && isPlain && command.ins === INS_A4_SELECT) return select(work, command);
  if (kind === CLA_ISO && isPlain && command.ins === INS_70_MANAGE_CHANNEL) {
    return manageChannel(work, command);
  }
  const selected = entryOf(state, channel.selectedAid);
  if (selected?.kind === 'application') return processInApplet(work, selected, command);
  if (!selected) throw new CardRefusal(SW_6985_CONDITIONS_NOT_SATISFIED, 'nothing is selected');
  const opening = kind === CLA_GLOBALPLATFORM ? OPENING_COMMANDS[command.ins] : undefined;
  if (opening) return opening(work, command);
  const handler = DOMAIN_COMMANDS[command.ins];
  const clear = inClear(work, command);
  if (kind !== CLA_GLOBALPLATFORM && !(kind === CLA_ISO && isReading)) {
    throw new CardRefusal(SW_6E00_CLASS_NOT_SUPPORTED, 'class is not known');
  }
  if (!handler) throw new CardRefusal(SW_6D00_INSTRUCTION_NOT_SUPPORTED, 'it is not known');
  return handler(work, clear);
}

/**
 * The command without its protection. A session of level C-MAC takes no command without one, and
 * a wrong one ends it. @see GPCS 2.3.1 §10.2.3, GP-D §6.2.4
 */
function inClear(work: Work, command: CommandApdu): CommandApdu {
  const { session } = work.channel;
  const isWrapped = (command.cla & CLA_BIT_SECURE_MESSAGING) !== 0;
  const isProtected = session !== null && (session.level & LEVEL_01_C_MAC) !== 0;
  if (!isWrapped && !isProtected) return command;
  const clear = session && isProtected ? session.messages.unwrap(command, session.level) : null;
  if (clear) return clear;
  throw new CardRefusal(
    SW_6982_SECURITY_STATUS_NOT_SATISFIED,
    'protection of the command is missing or wrong',
    { endsSession: true },
  );
}
