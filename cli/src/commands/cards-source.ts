/** Where a command finds its card: in a PC/SC reader, or a virtual one of the data folder. */
import {
  type CardReader,
  type CardSession,
  MemoryReader,
  PcscReaders,
  ReaderError,
  type VirtualCards,
} from '@tapnpay/agent';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { languageOption, type OptionValues, textOption, UsageError } from '../command.ts';

/** A card to talk to; `close` gives back all that it took. */
export type CardSource = {
  readonly reader: CardReader;
  readonly session: CardSession;
  readonly close: () => Promise<void>;
};

/** `--interface`, else undefined. @throws UsageError. */
export function interfaceOption(values: OptionValues): CardInterface | undefined {
  const wanted = textOption(values, 'interface');
  if (wanted === undefined || wanted === 'contact' || wanted === 'contactless') return wanted;
  throw new UsageError(`--interface takes contact or contactless, not ${wanted}`);
}

/** Runs `work` with the card of the options, and gives back all that this took. */
export async function withCard(
  values: OptionValues,
  openCards: () => VirtualCards,
  work: (source: CardSource, language: 'zh' | 'en') => Promise<number>,
): Promise<number> {
  const language = languageOption(values);
  const source = await openCard(values, openCards);
  try {
    return await work(source, language);
  } finally {
    await source.close();
  }
}

/**
 * The card of `--reader NAME` or of `--card NAME`.
 * @throws UsageError without either; ReaderError, AgentError `ERR_CARD_*` as the card says.
 */
async function openCard(values: OptionValues, openCards: () => VirtualCards): Promise<CardSource> {
  const readerName = textOption(values, 'reader');
  const card = textOption(values, 'card');
  if ((readerName === undefined) === (card === undefined)) {
    throw new UsageError('give the reader with --reader NAME, or a virtual card with --card NAME');
  }
  const wanted = interfaceOption(values);
  if (readerName !== undefined) return await openRealCard(readerName, wanted);
  return await openVirtualCard(openCards(), card ?? '', wanted ?? 'contact');
}

/**
 * The card in the reader that is called so, for us alone.
 * @throws ReaderError `ERR_READER_GONE`, `ERR_CARD_ABSENT` and others of the reader.
 */
export async function openRealCard(
  name: string,
  wanted: CardInterface | undefined,
): Promise<CardSource> {
  const readers = new PcscReaders();
  try {
    const reader = readers.reader(pickReader(await readers.list(), name));
    // No other program may come between, and the card starts afresh.
    const options = wanted === undefined ? {} : { interface: wanted };
    const session = await reader.connect({ sharing: 'exclusive', ...options });
    return { reader, session, close: () => readers.close() };
  } catch (fault) {
    await readers.close();
    throw fault;
  }
}

/** The reader of this name, or the only one that has the text in its name. */
export function pickReader(names: readonly string[], wanted: string): string {
  const exact = names.find((name) => name === wanted);
  if (exact !== undefined) return exact;
  const alike = names.filter((name) => name.toLowerCase().includes(wanted.toLowerCase()));
  const [only] = alike;
  if (alike.length === 1 && only !== undefined) return only;
  const known = names.length === 0 ? 'there is none' : `there are: ${names.join(', ')}`;
  const what = alike.length === 0 ? 'no reader is' : 'more than one reader is';
  throw new ReaderError('ERR_READER_GONE', `${what} called ${wanted}; ${known}`, {
    reader: wanted,
  });
}

async function openVirtualCard(
  cards: VirtualCards,
  name: string,
  wanted: CardInterface,
): Promise<CardSource> {
  const presented = cards.present(name, wanted);
  await presented.ready;
  const reader = new MemoryReader({ name: 'Virtual reader', kind: 'virtual' });
  reader.insert(presented);
  const close = async (): Promise<void> => {
    await reader.close();
    await cards.close();
  };
  return { reader, session: await reader.connect(), close };
}
