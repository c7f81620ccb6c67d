/** `tapnpay cards balance` and `tapnpay cards log`: what a card shows of its purses and logs. */
import { readBalance, readLogs, type VirtualCards } from '@tapnpay/agent';
import { currencyExponent, formatAmount, toHex } from '@tapnpay/protocol/bytes';
import type {
  CardReadingResult,
  LoadLogEntry,
  LogReading,
  PurseReading,
  TransactionLogEntry,
} from '@tapnpay/protocol/emv/terminal';
import { nodeCiphers } from '@tapnpay/protocol/node';
import type { OptionValues } from '../command.ts';
import { withCard } from './cards-source.ts';

type Language = 'zh' | 'en';
type Words = Readonly<Record<Language, string>>;

const WORDS: Readonly<Record<string, Words>> = {
  balance: { zh: '余额', en: 'balance' },
  limit: { zh: '上限', en: 'limit' },
  single: { zh: '单笔限额', en: 'per payment' },
  payments: { zh: '交易记录', en: 'payments' },
  loads: { zh: '圈存记录', en: 'loads' },
  none: { zh: '（无）', en: '(none)' },
  'card:noElectronicCash': { zh: '这张卡没有电子现金', en: 'the card has no electronic cash' },
  'card:noLog': { zh: '这张卡没有交易记录', en: 'the card keeps no payment log' },
  'card:noLoadLog': { zh: '这张卡没有圈存记录', en: 'the card keeps no load log' },
  'card:blocked': { zh: '卡片已锁', en: 'the card is blocked' },
  'terminal:noApplication': { zh: '没有银联应用', en: 'there is no UnionPay application' },
};

/** The purses; exit code 1 for a card without. */
export function balanceCommand(
  values: OptionValues,
  openCards: () => VirtualCards,
): Promise<number> {
  return withCard(values, openCards, async ({ session }, language) => {
    const look = { ciphers: nodeCiphers, interface: session.interface };
    const balance = await session.exclusively((card) => readBalance(card, look));
    print(values, balance, () => balanceLines(balance, language));
    return balance.result === 'read' ? 0 : 1;
  });
}

/** The logs; exit code 1 for a card without either. */
export function logCommand(values: OptionValues, openCards: () => VirtualCards): Promise<number> {
  return withCard(values, openCards, async ({ session }, language) => {
    const look = { ciphers: nodeCiphers, interface: session.interface };
    const logs = await session.exclusively((card) => readLogs(card, look));
    print(values, logs, () => [
      ...logLines('payments', logs.payments, paymentLine, language),
      ...logLines('loads', logs.loads, loadLine, language),
    ]);
    return logs.payments.result === 'read' || logs.loads.result === 'read' ? 0 : 1;
  });
}

function print(values: OptionValues, document: object, lines: () => readonly string[]): void {
  const text = values['json'] ? JSON.stringify(document, plainJson) : lines().join('\n');
  process.stdout.write(`${text}\n`);
}

/** Amounts as decimal text, bytes as hex. */
function plainJson(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? toHex(value) : value;
}

function word(key: string, language: Language): string {
  return WORDS[key]?.[language] ?? key;
}

/** In the currency's own digits; in minor units for a currency that is not known here. */
function amountText(amountMinor: bigint | null, currency: string | null): string {
  if (amountMinor === null) return '-';
  try {
    currencyExponent(currency ?? '');
    return `${formatAmount(amountMinor, currency ?? '')} ${currency}`;
  } catch {
    return `${amountMinor} ${currency ?? '?'}`;
  }
}

function balanceLines(
  balance: CardReadingResult<{ readonly purses: readonly PurseReading[] }>,
  language: Language,
): readonly string[] {
  if (balance.result === 'none') return [word(balance.reason, language)];
  return balance.purses.map((purse) => {
    const { currency } = purse;
    const single = purse.singleTransactionLimitMinor;
    return [
      `${word('balance', language)} ${amountText(purse.balanceMinor, currency)}`,
      `${word('limit', language)} ${amountText(purse.balanceLimitMinor, currency)}`,
      `${word('single', language)} ${amountText(single, currency)}`,
    ].join('  ');
  });
}

function logLines<Entry extends { readonly isEmpty: boolean }>(
  title: string,
  log: CardReadingResult<LogReading<Entry>>,
  line: (entry: Entry) => string,
  language: Language,
): readonly string[] {
  if (log.result === 'none') return [word(log.reason, language)];
  const written = log.entries.filter(({ isEmpty }) => !isEmpty);
  const lines = written.length === 0 ? [word('none', language)] : written.map(line);
  return [`${word(title, language)}:`, ...lines.map((text) => `  ${text}`)];
}

function commonText(entry: TransactionLogEntry | LoadLogEntry): string {
  const date = entry.dateYymmdd?.replace(/^(..)(..)(..)$/, '20$1-$2-$3') ?? '-';
  const time = entry.timeHhmmss?.replace(/^(..)(..)(..)$/, '$1:$2:$3') ?? '-';
  const atc = `ATC ${entry.applicationTransactionCounter ?? '-'}`;
  return `${String(entry.record).padStart(2)}  ${date} ${time}  ${atc}`;
}

function paymentLine(entry: TransactionLogEntry): string {
  const type = entry.transactionType?.toString(16).padStart(2, '0') ?? '-';
  const amount = amountText(entry.amountMinor, entry.currency);
  const merchant = merchantText(entry.merchantName);
  return `${commonText(entry)}  ${amount}  9C ${type}  ${merchant}`.trimEnd();
}

function loadLine(entry: LoadLogEntry): string {
  const before = amountText(entry.balanceBeforeMinor, '156');
  const after = amountText(entry.balanceAfterMinor, '156');
  return `${commonText(entry)}  ${entry.tag ?? '-'}  ${before} -> ${after}`;
}

/** Foreign text in GBK, without what would move the terminal's cursor. */
function merchantText(name: Uint8Array | null): string {
  if (name === null) return '';
  return new TextDecoder('gb18030')
    .decode(name)
    .replace(/\p{Cc}/gu, ' ')
    .trim();
}
