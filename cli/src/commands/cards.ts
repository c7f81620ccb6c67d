/** `tapnpay cards`: the virtual cards of a system, and the reader of its running agent. */
import { join } from 'node:path';
import { askLocalReader, localAgent, type ReaderAnswer, VirtualCards } from '@tapnpay/agent';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface, ReaderCommand } from '@tapnpay/protocol/wire';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { LIMIT_OPTION_TABLE, LIMITS_USAGE } from './card-limits.ts';

/** The cards of the system in `dataDir`. */
export function openCards(dataDir: string): VirtualCards {
  const directory = join(dataDir, 'cards');
  return new VirtualCards({ directory, ciphers: nodeCiphers, random: systemRandom });
}

const USAGE = `usage: tapnpay cards [list | insert NAME | tap NAME | take-away]
       tapnpay cards new NAME [FILE | -] [--own-issuer]
       tapnpay cards new NAME [FILE | -] [--balance N] [--credit-line N] [--pin-mailer]
                              ${LIMITS_USAGE}
       tapnpay cards insert NAME --vpcd [HOST:PORT] [--reverse] [--interface contact|contactless]
       tapnpay cards read    (--reader NAME | --card NAME) [--consent] [--record FILE] [--unmask]
       tapnpay cards balance (--reader NAME | --card NAME)
       tapnpay cards log     (--reader NAME | --card NAME)
       all: [--interface contact|contactless] [--lang zh|en] [--data DIR] [--json]
insert (or present), tap and take-away act at the running agent's reader, as the wallet does.
new (or personalise) makes a card of the card model in FILE (docs/card-model.md), a debit card if
there is none. The running system's issuer makes it, so that it pays; with --own-issuer no system
is needed and no issuer knows the card. Amounts are in minor units; --pin-mailer has the HSM draw
the PIN and writes it to a file of the data folder, for laboratories.
--lift-after N lifts the card before its command number N (a torn tap).
--vpcd offers the card to every PC/SC program, until it is interrupted: to the vpcd that listens at
HOST:PORT (its own default), or with --reverse to one that calls that port.
--reader takes a PC/SC reader by a part of its name. A reading never sends VERIFY or GENERATE AC;
of a contactless card it sends only SELECT, with --consent also GET PROCESSING OPTIONS (amount 0).
--record keeps the session in a file that a scripted card replays; PAN, tracks and name are replaced
by sandbox data unless --unmask is given.`;

/** What is not done at the running agent's reader; each resolves with the exit code. */
const OWN: Readonly<
  Record<string, (values: OptionValues, openCards: () => VirtualCards) => Promise<number>>
> = {
  read: async (...given) => (await import('./cards-read.ts')).readCommand(...given),
  balance: async (...given) => (await import('./cards-purse.ts')).balanceCommand(...given),
  log: async (...given) => (await import('./cards-purse.ts')).logCommand(...given),
};

export const cards: Command = {
  summary: {
    en: 'make, list, insert or tap virtual cards; offer one to PC/SC; read any card and its log',
    zh: '列出、制作、插入或挥虚拟卡；把虚拟卡提供给 PC/SC；读取卡片、余额和交易记录',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    'lift-after': { type: 'string' },
    'own-issuer': { type: 'boolean' },
    'pin-mailer': { type: 'boolean' },
    balance: { type: 'string' },
    'credit-line': { type: 'string' },
    ...LIMIT_OPTION_TABLE,
    vpcd: { type: 'boolean' },
    reverse: { type: 'boolean' },
    interface: { type: 'string' },
    reader: { type: 'string' },
    card: { type: 'string' },
    consent: { type: 'boolean' },
    record: { type: 'string' },
    unmask: { type: 'boolean' },
    lang: { type: 'string' },
  },
  run: async (values, positionals) => {
    const dataDir = (): string =>
      readSystemConfig(textOption(values, 'data') ?? defaultDataDir).dataDir;
    const [action = 'list', card, address, ...rest] = positionals;
    const own = Object.hasOwn(OWN, action) ? OWN[action] : undefined;
    if (own !== undefined) {
      if (card !== undefined) throw new UsageError(`cards ${action} takes no ${card}`);
      return await own(values, () => openCards(dataDir()));
    }
    if (action === 'new' || action === 'personalise') {
      if (card === undefined || rest.length > 0) {
        throw new UsageError(`write cards ${action} NAME [FILE]`);
      }
      const { newCommand } = await import('./cards-new.ts');
      // A card of an own issuer needs no system, only a folder.
      const folder = textOption(values, 'data') ?? defaultDataDir;
      const wanted = { name: card, file: address, dataDir: folder };
      return await newCommand(values, wanted, () => openCards(wanted.dataDir));
    }
    if (values['vpcd'] === true) {
      if (action !== 'insert' || card === undefined || rest.length > 0) {
        throw new UsageError('write cards insert NAME --vpcd [HOST:PORT]');
      }
      const { vpcdCommand } = await import('./cards-vpcd.ts');
      return await vpcdCommand(values, { card, address }, openCards(dataDir()));
    }
    const command = readCommand(values, positionals);
    const answer =
      command === null ? await look(dataDir()) : await askLocalReader(dataDir(), command);
    print(answer, values);
    return 0;
  },
};

const GESTURES: Readonly<Record<string, CardInterface>> = {
  insert: 'contact',
  present: 'contact',
  tap: 'contactless',
};

/** What is to be done at the reader; null only lists. @throws UsageError. */
function readCommand(values: OptionValues, positionals: readonly string[]): ReaderCommand | null {
  const [action = 'list', card, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`cards ${action} takes no ${rest.join(' ')}`);
  const gesture = Object.hasOwn(GESTURES, action) ? GESTURES[action] : undefined;
  if (gesture !== undefined) {
    if (card === undefined) throw new UsageError(`cards ${action} takes the NAME of a card`);
    return { type: 'present', card, interface: gesture, liftAfter: liftAfter(values) };
  }
  if (card !== undefined) throw new UsageError(`cards ${action} takes no ${card}`);
  if (action === 'take-away' || action === 'remove') return { type: 'takeAway' };
  if (action === 'list') return null;
  throw new UsageError(
    'cards takes list, insert NAME, tap NAME, take-away, new, read, balance or log',
  );
}

function liftAfter(values: OptionValues): number | null {
  const text = textOption(values, 'lift-after');
  if (text === undefined) return null;
  if (/^[1-9][0-9]?$/.test(text)) return Number(text);
  throw new UsageError(`--lift-after takes a number from 1 to 99, not ${text}`);
}

/** The agent's own view while it runs, the files on the disk else. */
async function look(dataDir: string): Promise<ReaderAnswer> {
  if (localAgent(dataDir) !== null) {
    try {
      return await askLocalReader(dataDir, null);
    } catch (fault) {
      // A killed agent leaves its key behind; the cards are there all the same.
      if (!(fault instanceof Error && 'code' in fault && fault.code === 'ERR_AGENT_DOWN')) {
        throw fault;
      }
    }
  }
  const reader = { name: 'Virtual reader', kind: 'virtual', card: null, interface: null } as const;
  return { reader, cards: openCards(dataDir).list() };
}

function print({ reader, cards: list }: ReaderAnswer, values: OptionValues): void {
  if (values['json']) {
    process.stdout.write(`${JSON.stringify({ reader, cards: list })}\n`);
    return;
  }
  for (const card of list) {
    const place =
      card.name === reader.card ? `at the reader 在读卡器上（${reader.interface}）` : '';
    const atc = `ATC ${card.applicationTransactionCounter}`;
    const row = [card.name.padEnd(18), card.panMasked, card.expiryYymm, atc, card.label];
    process.stdout.write(`${[...row, card.interfaces.join('+'), place].join('  ').trimEnd()}\n`);
  }
}
