/** `tapnpay cards`: the virtual cards of a system and the slot that one is inserted in. */
import { join } from 'node:path';
import { VirtualCards } from '@tapnpay/agent';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';

/** The cards of the system in `dataDir`. */
export function openCards(dataDir: string): VirtualCards {
  const directory = join(dataDir, 'cards');
  return new VirtualCards({ directory, ciphers: nodeCiphers, random: systemRandom });
}

export const cards: Command = {
  summary: {
    en: 'list the virtual cards; insert one, or take it out',
    zh: '列出虚拟卡,插入或取出',
  },
  usage: 'usage: tapnpay cards [list | insert NAME | remove] [--data DIR] [--json]',
  options: { data: { type: 'string' } },
  run: async (values, positionals) => {
    const { dataDir } = readSystemConfig(textOption(values, 'data') ?? defaultDataDir);
    const virtualCards = openCards(dataDir);
    const [action = 'list', name] = positionals;
    if (action === 'insert' && name !== undefined) virtualCards.insert(name);
    else if (action === 'remove') virtualCards.remove();
    else if (action !== 'list') throw new UsageError('cards takes list, insert NAME or remove');
    print(virtualCards, values);
    return 0;
  },
};

function print(virtualCards: VirtualCards, values: OptionValues): void {
  const list = virtualCards.list();
  if (values['json']) {
    process.stdout.write(`${JSON.stringify({ cards: list })}\n`);
    return;
  }
  for (const card of list) {
    const slot = card.inserted ? 'inserted' : '';
    const atc = `ATC ${card.applicationTransactionCounter}`;
    const row = [card.name.padEnd(18), card.panMasked, card.expiryYymm, atc, card.label, slot];
    process.stdout.write(`${row.join('  ').trimEnd()}\n`);
  }
}
