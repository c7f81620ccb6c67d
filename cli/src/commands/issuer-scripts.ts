/** `tapnpay issuer script`: what the bank wants a card to do with its next online contact. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readHsmTokens } from '@tapnpay/online/hsm';
import {
  type AdminChange,
  type CardSummary,
  PUT_DATA_TAGS,
  queuedScript,
  type ScriptWish,
} from '@tapnpay/online/issuer';
import { connectHsm } from '@tapnpay/online/runtime';
import { TapError } from '@tapnpay/protocol/bytes';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import type { Hsm } from '@tapnpay/protocol/wire';
import { UsageError } from '../command.ts';
import { readSystemConfig } from '../system/layout.ts';
import { drawPinChange, writePinMailer } from './cards-pin.ts';

/** Usage of the actions below. */
export const SCRIPTS_USAGE = `script CARD WHAT --note WHY | script close ID --note WHY
       tapnpay issuer scripts [CARD]
       tapnpay issuer load ID has|has-not --note WHY
       tapnpay issuer bind-payer CARD PAYER --note WHY`;
/** What WHAT is. */
export const SCRIPTS_HELP: string = `WHAT is block-application, unblock-application, block-card,
unblock-pin, change-pin (a new PIN, with its letter), put-data ${PUT_DATA_TAGS.join('|')} MINOR,
or update-record FILE RECORD HEX. One script goes with each online contact, oldest first, until
the card or a notice has shown what became of it.`;

const PLAIN_KINDS = {
  'block-application': 'blockApplication',
  'unblock-application': 'unblockApplication',
  'block-card': 'blockCard',
  'unblock-pin': 'unblockPin',
} as const;

/** What a `script` command asks for. @throws UsageError, TapError `ERR_LAB_DOWN`. */
export async function scriptChange(
  words: readonly string[],
  card: CardSummary,
  dataDir: string,
): Promise<AdminChange> {
  const wish = await wishOf(words, card, dataDir);
  const making = { clock: systemClock, random: systemRandom };
  const { cardId } = card;
  return { action: 'scriptQueued', cardId, script: queuedScript(cardId, wish, making) };
}

async function wishOf(
  [name = '', ...args]: readonly string[],
  card: CardSummary,
  dataDir: string,
): Promise<ScriptWish> {
  const plain = Object.entries(PLAIN_KINDS).find(([word]) => word === name)?.[1];
  if (plain !== undefined && args.length === 0) return { kind: plain };
  if (name === 'change-pin' && args.length === 0) return changePin(card, dataDir);
  if (name === 'put-data' && args.length === 2 && /^[0-9]{1,12}$/.test(args[1] ?? '')) {
    return {
      kind: 'putData',
      tag: (args[0] ?? '').toUpperCase(),
      amountMinor: BigInt(args[1] ?? 0),
    };
  }
  if (name === 'update-record' && args.length === 3) {
    const [sfi, record, data = ''] = args;
    return {
      kind: 'updateRecord',
      sfi: Number(sfi),
      record: Number(record),
      data: data.toUpperCase(),
    };
  }
  throw new UsageError(`script takes CARD and one of: ${SCRIPTS_HELP.split('. ')[0]}`);
}

/** The HSM draws the PIN: its block waits for the card, its letter goes to the holder. */
async function changePin(card: CardSummary, dataDir: string): Promise<ScriptWish> {
  const pan = panOf(card, dataDir);
  const { ports } = readSystemConfig(dataDir);
  const tokens = readHsmTokens(dataDir, 'issuer');
  const open: (Hsm & { readonly close: () => Promise<void> })[] = [];
  const connect = async (caller: 'bureau' | 'ceremony'): Promise<Hsm> => {
    const hsm = await connectHsm({
      ...{ port: ports.hsmIssuer, caller, tokenHex: tokens[caller] ?? '' },
    }).catch((fault: unknown) => {
      const message = "the issuer's HSM does not run; start the system with tapnpay up";
      throw new TapError('ERR_LAB_DOWN', message, {}, fault);
    });
    open.push(hsm);
    return hsm;
  };
  try {
    const parties = { bureau: await connect('bureau'), ceremony: await connect('ceremony') };
    const { pin, ...newPin } = await drawPinChange(dataDir, parties, pan);
    const name = `${card.name}-${systemClock.nowMs()}`;
    const path = writePinMailer(dataDir, { name, pan }, pin);
    process.stderr.write(`PIN mailer 密码信封: ${path}\n`);
    return { kind: 'changePin', newPin };
  } finally {
    await Promise.all(open.map((hsm) => hsm.close()));
  }
}

/** The books do not keep the number; the bureau's file has it. @throws TapError. */
function panOf({ name, panMasked }: CardSummary, dataDir: string): string {
  const text = readFileSync(join(dataDir, 'issuer-cards.json'), 'utf8');
  const records = JSON.parse(text) as readonly { readonly name: string; readonly pan: string }[];
  const found = records.find((record) => record.name === name);
  if (found) return found.pan;
  throw new TapError('ERR_CARD_UNKNOWN', `the bureau has no record of ${panMasked}`);
}
