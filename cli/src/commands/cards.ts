/** `tapnpay cards`: the virtual cards of a system, and the reader of its running agent. */
import { join } from 'node:path';
import { askLocalReader, localAgent, type ReaderAnswer, VirtualCards } from '@tapnpay/agent';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface, ReaderCommand } from '@tapnpay/protocol/wire';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';

/** The cards of the system in `dataDir`. */
export function openCards(dataDir: string): VirtualCards {
  const directory = join(dataDir, 'cards');
  return new VirtualCards({ directory, ciphers: nodeCiphers, random: systemRandom });
}

const USAGE = `usage: tapnpay cards [list | insert NAME | tap NAME | take-away]
                     [--data DIR] [--json]
insert (or present), tap and take-away act at the running agent's reader, as the wallet does.
--lift-after N lifts the card before its command number N (a torn tap).`;

export const cards: Command = {
  summary: {
    en: 'list the virtual cards; insert or tap one, or take it away',
    zh: '列出虚拟卡；插卡、挥卡或取走卡片',
  },
  usage: USAGE,
  options: { data: { type: 'string' }, 'lift-after': { type: 'string' } },
  run: async (values, positionals) => {
    const { dataDir } = readSystemConfig(textOption(values, 'data') ?? defaultDataDir);
    const command = readCommand(values, positionals);
    const answer = command === null ? await look(dataDir) : await askLocalReader(dataDir, command);
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
  throw new UsageError('cards takes list, insert NAME, tap NAME or take-away');
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
