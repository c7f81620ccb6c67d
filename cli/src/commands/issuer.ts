/** `tapnpay issuer`: what the bank's people do to cards, and what they look into. */
import { userInfo } from 'node:os';
import {
  type AdminChange,
  CARD_STATES,
  type CardLimits,
  type CardSummary,
  HOT_REASONS,
  isDate,
  openIssuerStore,
  openKeyedDigest,
  type PostgresIssuerStore,
  settlementDay,
} from '@tapnpay/online/issuer';
import { uuidv7 } from '@tapnpay/online/runtime';
import { formatAmount, maskPan, TapError } from '@tapnpay/protocol/bytes';
import { systemClock, systemRandom } from '@tapnpay/protocol/node';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import { defaultDataDir, readSystemConfig } from '../system/layout.ts';
import { LIMIT_OPTION_TABLE, LIMITS_USAGE, type LimitName, limitsOf } from './card-limits.ts';
import { SCRIPTS_HELP, SCRIPTS_USAGE, scriptChange } from './issuer-scripts.ts';

/** The lab's own numbers; no other is ever looked up. */
const SANDBOX_PAN = /^629999[0-9]{6,13}$/;
const AUDIT_LINES = 100;

const USAGE = `usage: tapnpay issuer [cards]
       tapnpay issuer block CARD | unblock CARD | set-state CARD STATE --note WHY
       tapnpay issuer unblock-pin CARD --note WHY
       tapnpay issuer limits CARD ${LIMITS_USAGE} --note WHY
       tapnpay issuer hot-list [add CARD REASON --note WHY | remove CARD --note WHY]
       tapnpay issuer work-items [close ID --note WHY]
       tapnpay issuer ${SCRIPTS_USAGE}
       tapnpay issuer audit
       tapnpay issuer settlement YYYYMMDD
       all: [--data DIR] [--json]
CARD is a card's name or its sandbox number. STATE is one of ${CARD_STATES.join(', ')}.
REASON is field 39 of the answer: 41 lost, 43 stolen, 04 pick up, 62 restricted.
${SCRIPTS_HELP}
Limits are in minor units, - gives back the installation's. Every change is written to the audit
table with your user name and the note.`;

/** The issuer's books and what finds a card in them. */
type Desk = {
  readonly store: PostgresIssuerStore;
  readonly digest: (text: string) => string;
  readonly dataDir: string;
  readonly values: OptionValues;
};
type Action = (desk: Desk, args: readonly string[]) => Promise<unknown>;

const ACTIONS: Readonly<Record<string, Action>> = {
  cards: (desk) => desk.store.cards(),
  block: (desk, args) => setState(desk, [...args, 'blocked']),
  unblock: (desk, args) => setState(desk, [...args, 'active']),
  'set-state': setState,
  'unblock-pin': async (desk, args) => {
    const { cardId } = await findCard(desk, only(args, 1)[0]);
    return change(desk, { action: 'pinTries', cardId });
  },
  limits: async (desk, args) => {
    const { cardId } = await findCard(desk, only(args, 1)[0]);
    return change(desk, { action: 'limits', cardId, limits: changedLimits(desk.values) });
  },
  'hot-list': hotList,
  'work-items': async (desk, args) => {
    if (args.length === 0) return desk.store.workItems();
    const [verb, itemId = ''] = only(args, 2);
    if (verb !== 'close') throw new UsageError('work-items takes close ID');
    return change(desk, { action: 'workItemClosed', itemId });
  },
  script,
  scripts: async (desk, args) => {
    const [card] = args;
    const cardId = card === undefined ? null : (await findCard(desk, card)).cardId;
    return (await desk.store.scripts(cardId, AUDIT_LINES)).map(({ newPin: _, ...shown }) => shown);
  },
  load: async (desk, args) => {
    const [scriptId = '', word] = only(args, 2);
    if (word !== 'has' && word !== 'has-not') throw new UsageError('load takes ID has|has-not');
    const verdict = word === 'has' ? 'has' : 'hasNot';
    return change(desk, { action: 'loadResolved', scriptId, verdict });
  },
  'bind-payer': async (desk, args) => {
    const [wanted, payer] = only(args, 2);
    const { cardId } = await findCard(desk, wanted);
    const { cardId: payerCardId } = await findCard(desk, payer);
    return change(desk, { action: 'loadPayerBound', cardId, payerCardId });
  },
  audit: ({ store }) => store.audit(AUDIT_LINES),
  settlement: async ({ store }, args) => {
    const [day = ''] = only(args, 1);
    if (!isDate(day)) throw new UsageError('settlement takes a day as YYYYMMDD');
    const { netMinor, ...totals } = settlementDay(day, await store.settlementLines(day));
    return { ...totals, netMinor: Object.fromEntries(netMinor) };
  },
};

export const issuer: Command = {
  summary: {
    en: 'the bank: cards, states, PIN tries, limits, hot list, work items, settlement',
    zh: '发卡行：卡片、状态、密码解锁、限额、黑名单、待办事项、清算',
  },
  usage: USAGE,
  options: {
    data: { type: 'string' },
    note: { type: 'string' },
    ...LIMIT_OPTION_TABLE,
  },
  run: async (values, positionals) => {
    const [name = 'cards', ...args] = positionals;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new UsageError(`issuer takes ${Object.keys(ACTIONS).join(', ')}`);
    const { dataDir, databaseUrl } = readSystemConfig(textOption(values, 'data') ?? defaultDataDir);
    const store = await openIssuerStore({ databaseUrl, schema: 'issuer' });
    try {
      const digest = openKeyedDigest(dataDir, systemRandom);
      const told = await action({ store, digest, dataDir, values }, args);
      process.stdout.write(values['json'] ? `${JSON.stringify(told, plain)}\n` : text(told));
      return 0;
    } finally {
      await store.close();
    }
  },
};

async function script(desk: Desk, args: readonly string[]): Promise<unknown> {
  const [first, ...words] = args;
  if (first === 'close') {
    const [scriptId = ''] = only(words, 1);
    return change(desk, { action: 'scriptClosed', scriptId });
  }
  noteOf(desk);
  const card = await findCard(desk, first);
  return change(desk, await scriptChange(words, card, desk.dataDir));
}

async function setState(desk: Desk, args: readonly string[]): Promise<unknown> {
  const [card, wanted] = only(args, 2);
  const state = CARD_STATES.find((one) => one === wanted);
  if (!state) throw new UsageError(`a card is ${CARD_STATES.join(', ')}`);
  const { cardId } = await findCard(desk, card);
  return change(desk, { action: 'cardState', cardId, state });
}

async function hotList(desk: Desk, args: readonly string[]): Promise<unknown> {
  const [verb, card, ...rest] = args;
  if (verb === undefined) return desk.store.hotList();
  const { panLookup, panMasked } = await findNumber(desk, card);
  if (verb === 'remove' && rest.length === 0) {
    return change(desk, { action: 'hotDelisted', panLookup });
  }
  const reason = HOT_REASONS.find((one) => one === rest[0]);
  if (verb === 'add' && reason && rest.length === 1) {
    return change(desk, { action: 'hotListed', panLookup, panMasked, reason });
  }
  throw new UsageError(`hot-list takes add CARD ${HOT_REASONS.join('|')}, or remove CARD`);
}

/** @throws TapError `ERR_CARD_UNKNOWN`. */
async function findCard(desk: Desk, wanted = ''): Promise<CardSummary> {
  const panLookup = SANDBOX_PAN.test(wanted) ? desk.digest(wanted) : null;
  const found = (await desk.store.cards()).filter(
    (card) => card.name === wanted || card.panLookup === panLookup,
  );
  if (found.length === 1 && found[0]) return found[0];
  const many = found.length > 1 ? 'several cards have that name; write the number' : 'no such card';
  throw new TapError('ERR_CARD_UNKNOWN', `${many}; tapnpay issuer cards lists them`);
}

/** A number may be hot-listed before its card is known. */
async function findNumber(
  desk: Desk,
  wanted = '',
): Promise<{ readonly panLookup: string; readonly panMasked: string }> {
  if (!SANDBOX_PAN.test(wanted)) return findCard(desk, wanted);
  return { panLookup: desk.digest(wanted), panMasked: maskPan(wanted) };
}

/** @throws UsageError without a note; TapError `ERR_NOTHING_CHANGED`. */
async function change(desk: Desk, wanted: AdminChange): Promise<unknown> {
  const note = noteOf(desk);
  const act = {
    auditId: uuidv7(systemClock, systemRandom),
    actor: userInfo().username,
    note,
    atMs: systemClock.nowMs(),
  };
  if (!(await desk.store.change(wanted, act))) {
    throw new TapError('ERR_NOTHING_CHANGED', 'there is no such entry');
  }
  return (await desk.store.audit(AUDIT_LINES)).filter(({ auditId }) => auditId === act.auditId);
}

function noteOf({ values }: Desk): string {
  const note = textOption(values, 'note')?.trim();
  if (note) return note;
  throw new UsageError('say why with --note TEXT; it is kept in the audit table');
}

function changedLimits(values: OptionValues): Partial<CardLimits> {
  const limits = limitsOf(values);
  if (limits.size === 0) throw new UsageError('name a limit, as --day 100000');
  const value = (name: LimitName, text: string | null): bigint | number | null =>
    text === null ? null : name === 'dayCount' ? Number(text) : BigInt(text);
  return Object.fromEntries([...limits].map(([name, text]) => [name, value(name, text)]));
}

function only(args: readonly string[], count: number): readonly string[] {
  if (args.length === count) return args;
  throw new UsageError(`${count} words are needed after the action, not ${args.length}`);
}

/** Amounts as decimal text. */
function plain(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** One line a card, a block of JSON for the rest. */
function text(told: unknown): string {
  if (!Array.isArray(told)) return `${JSON.stringify(told, plain, 2)}\n`;
  if (told.length === 0) return '(none 无)\n';
  return told
    .map((row) => `${isCard(row) ? cardLine(row) : JSON.stringify(row, plain)}\n`)
    .join('');
}

function isCard(row: object): row is CardSummary {
  return 'pinFailures' in row;
}

function cardLine(card: CardSummary): string {
  const amount = (minor: bigint): string => formatAmount(minor, card.currency);
  const more = [
    card.heldMinor > 0n ? `held 冻结 ${amount(card.heldMinor)}` : '',
    card.owedMinor > 0n ? `owed 欠款 ${amount(card.owedMinor)}` : '',
    card.electronicCashMinor > 0n ? `e-cash 电子现金 ${amount(card.electronicCashMinor)}` : '',
    card.pinFailures > 0 ? `wrong PINs 密码错误 ${card.pinFailures}` : '',
    card.hotReason === null ? '' : `hot-listed 黑名单 ${card.hotReason}`,
  ].filter((part) => part !== '');
  const { name, panMasked, expiryYymm, state } = card;
  const head = [name.padEnd(18), panMasked.padEnd(19), expiryYymm, state.padEnd(8)];
  return [...head, amount(card.balanceMinor).padStart(12), ...more].join('  ').trimEnd();
}
