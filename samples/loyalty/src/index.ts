/**
 * A stored-value loyalty card: points are credited by who holds the keys of its security domain,
 * and debited by any reader that the card is presented to. Each movement is one transaction.
 */
import { fromHex } from '@tapnpay/protocol/bytes';
import type { Applet, AppletHost } from '@tapnpay/protocol/globalplatform/applet';
import {
  type CommandApdu,
  encodeTlv,
  type ResponseApdu,
  StatusWord,
  SW_6A80_WRONG_DATA,
  SW_6A83_RECORD_NOT_FOUND,
  SW_6D00_INSTRUCTION_NOT_SUPPORTED,
  SW_6700_WRONG_LENGTH,
  SW_6982_SECURITY_STATUS_NOT_SATISFIED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
  SW_9000_OK,
} from '@tapnpay/protocol/iso7816';
import { addMovement, MOVEMENT_CREDIT, MOVEMENT_DEBIT, movementAt } from './history.ts';
import {
  amountOf,
  keepProfile,
  MOVEMENT_REQUEST_BYTES,
  type Purse,
  purseOf,
  readPurse,
} from './purse.ts';

/** Commands of the card, class 80, or 84 inside the secure channel. */
const INS_30_CREDIT = 0x30;
const INS_32_DEBIT = 0x32;
const INS_34_BALANCE = 0x34;
const INS_36_HISTORY = 0x36;
const INS_50_INITIALIZE_UPDATE = 0x50;
const INS_82_EXTERNAL_AUTHENTICATE = 0x82;
/** Commands are authentic. @see GPCS 2.3.1 table 10-1 */
const LEVEL_01_C_MAC = 0x01;
/** The balance does not suffice; the balance would pass the card's limit. */
const SW_9401_BALANCE_TOO_LOW: StatusWord = StatusWord(0x9401);
const SW_9402_LIMIT_EXCEEDED: StatusWord = StatusWord(0x9402);
/** Selectable and personalised. */
const STATE_PERSONALIZED = 0x0f;

/** What the element looks for in the load file. */
export function createApplet(_moduleAid: string, host: AppletHost): Applet {
  return {
    select: () => ok(encodeTlv('6F', encodeTlv('84', fromHex(host.instanceAid)))),
    process: (command) => process(host, command),
    personalise({ groupings }) {
      if (!keepProfile(host, groupings)) return refusal(SW_6A80_WRONG_DATA);
      host.lifeCycle.change(STATE_PERSONALIZED);
      return ok();
    },
  };
}

function ok(data: Uint8Array = new Uint8Array(0)): ResponseApdu {
  return { data, statusWord: SW_9000_OK };
}

function refusal(statusWord: StatusWord): ResponseApdu {
  return { data: new Uint8Array(0), statusWord };
}

function process(host: AppletHost, command: CommandApdu): ResponseApdu {
  const { ins, p1 } = command;
  if (ins === INS_50_INITIALIZE_UPDATE || ins === INS_82_EXTERNAL_AUTHENTICATE) {
    return host.channel.authenticate(command);
  }
  const purse = readPurse(host);
  if (purse === null) return refusal(SW_6985_CONDITIONS_NOT_SATISFIED);
  switch (ins) {
    case INS_30_CREDIT:
      return credit(host, purse, command);
    case INS_32_DEBIT:
      return move(host, purse, { kind: MOVEMENT_DEBIT, data: command.data });
    case INS_34_BALANCE:
      return ok(purseOf(purse));
    case INS_36_HISTORY: {
      const movement = movementAt(host, p1);
      return movement ? ok(movement) : refusal(SW_6A83_RECORD_NOT_FOUND);
    }
    default:
      return refusal(SW_6D00_INSTRUCTION_NOT_SUPPORTED);
  }
}

/** Only inside a session of the domain, and only in a command that is authentic. */
function credit(host: AppletHost, purse: Purse, command: CommandApdu): ResponseApdu {
  const level = host.channel.securityLevel() ?? 0;
  const clear = (level & LEVEL_01_C_MAC) === 0 ? null : host.channel.unwrap(command);
  if (clear === null) return refusal(SW_6982_SECURITY_STATUS_NOT_SATISFIED);
  return host.channel.wrap(move(host, purse, { kind: MOVEMENT_CREDIT, data: clear.data }));
}

/** Moves points and says the new balance, under the card's own MAC. */
function move(
  host: AppletHost,
  purse: Purse,
  request: { readonly kind: number; readonly data: Uint8Array | undefined },
): ResponseApdu {
  const { kind, data } = request;
  if (data?.length !== MOVEMENT_REQUEST_BYTES) return refusal(SW_6700_WRONG_LENGTH);
  const amount = amountOf(data);
  if (amount === 0) return refusal(SW_6A80_WRONG_DATA);
  const balance = purse.balance + (kind === MOVEMENT_CREDIT ? amount : -amount);
  if (balance < 0) return refusal(SW_9401_BALANCE_TOO_LOW);
  if (balance > purse.limit) return refusal(SW_9402_LIMIT_EXCEEDED);
  const next = { ...purse, balance, counter: purse.counter + 1 };
  return ok(addMovement(host, next, { kind, data }));
}
