/** `tapnpay tap`: one payment without a browser. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cardFault, type PaymentApdu } from '@tapnpay/agent';
import { collectTrace } from '@tapnpay/online/observer';
import { currencyExponent, parseAmount } from '@tapnpay/protocol/bytes';
import { Hop } from '@tapnpay/protocol/wire';
import { type Command, type OptionValues, textOption, UsageError } from '../command.ts';
import type { TapDocument } from '../payment/document.ts';
import { GatewayClient } from '../payment/gateway-client.ts';
import { isGatewayFault, runTap, type TapRequest } from '../payment/run-tap.ts';
import { readerTapCard, type TapCard, virtualTapCard } from '../payment/tap-card.ts';
import {
  decodedTraceText,
  summaryText,
  type TraceLanguage,
  traceText,
} from '../payment/trace-text.ts';
import { launchSystem } from '../system/launch.ts';
import { defaultDataDir, readSystemConfig, type SystemConfig, urlOf } from '../system/layout.ts';
import { openCards } from './cards.ts';
import { interfaceOption } from './cards-source.ts';

/** PIN of the sandbox cards, printed in their personalisation. */
const SANDBOX_PIN = '123456';
const USAGE = `usage: tapnpay tap [--load] [--amount 12.34] [--currency 156] [--card NAME]
                   [--interface contact|contactless] [--pin DIGITS|-|none] [--fault NAME]
                   [--reader NAME --consent] [--notify-url URL] [--trace [--lang zh|en]]
                   [--json] [--data DIR] [--own]
--load fills the purse of card e-cash, or of the named one, from its account (圈存).
pays with a virtual card, or with the card in the PC/SC reader NAME, in the running system
or, with --own or when none runs, in a temporary one. --consent says that this card may be
asked for payment cryptograms; a card of another issuer is declined, its counter moves on.
--pin - reads standard input; the sandbox cards have PIN ${SANDBOX_PIN}.
faults: flip-arqc flip-mac wrong-issuer-key card-removed@N drop-reply kill-gateway@HOP
hops: ${Object.keys(Hop).join(' ')}`;

export const tap: Command = {
  summary: {
    en: 'pay once with a virtual card or one in a reader and show what happened',
    zh: '用虚拟卡或读卡器中的卡支付一次并展示全过程',
  },
  usage: USAGE,
  options: {
    load: { type: 'boolean' },
    amount: { type: 'string' },
    currency: { type: 'string' },
    card: { type: 'string' },
    reader: { type: 'string' },
    consent: { type: 'boolean' },
    interface: { type: 'string' },
    pin: { type: 'string' },
    fault: { type: 'string' },
    'notify-url': { type: 'string' },
    trace: { type: 'boolean' },
    lang: { type: 'string' },
    own: { type: 'boolean' },
    data: { type: 'string' },
  },
  run: async (values) => {
    const request = readRequest(values);
    const language = readLanguage(values);
    const { system, close } = await findSystem(values);
    const apdus: PaymentApdu[] = [];
    let card: TapCard | null = null;
    try {
      card = await openTapCard(values, system.dataDir, request.fault);
      const document = await runTap({
        ...request,
        card,
        system,
        onApdu: (record) => apdus.push(record),
      });
      const trace = values['trace'] ? collectTrace(system.dataDir, document.orderId) : null;
      if (values['json']) {
        process.stdout.write(`${JSON.stringify(trace ? { ...document, trace } : document)}\n`);
      } else {
        process.stdout.write(`${summaryText(document)}\n`);
      }
      if (isInsertionWanted(document)) process.stderr.write(`${USE_CONTACT}\n`);
      if (values['trace'] && !values['json']) {
        const text = trace ? decodedTraceText(trace, language) : traceText(document, apdus);
        process.stdout.write(`${text}\n`);
      }
      return document.outcome === 'approved' ? 0 : 1;
    } finally {
      await card?.close();
      await close();
    }
  },
};

const OWN_SYSTEM = 'starting a temporary system for this payment… 正在为这笔支付启动一套临时系统…';

/** The end of a tap whose card or amount wants insertion. */
const USE_CONTACT =
  'insert this card: pay again with --interface contact\n请改用插卡：加上 --interface contact 重新支付';

const INSERTION_REASONS: ReadonlySet<string | null> = new Set([
  ...['card:useContact', 'terminal:contactlessLimit', 'terminal:contactlessNotTaken'],
  'terminal:noCommonCvm',
]);

function isInsertionWanted({ outcome, reason }: TapDocument): boolean {
  return outcome === 'cancelled' && INSERTION_REASONS.has(reason);
}

function readLanguage(values: OptionValues): TraceLanguage {
  const language = textOption(values, 'lang') ?? 'both';
  if (language === 'zh' || language === 'en' || language === 'both') return language;
  throw new UsageError(`--lang takes zh, en or both, not ${language}`);
}

/** @throws UsageError before anything is started. */
function assertCardOptions(values: OptionValues): void {
  interfaceOption(values);
  const reader = textOption(values, 'reader');
  if (reader === undefined) return;
  if (textOption(values, 'card') !== undefined) {
    throw new UsageError('give --card NAME or --reader NAME, not both');
  }
  if (!values['consent']) {
    throw new UsageError(
      'a payment asks the card in a reader for cryptograms (GENERATE AC): add --consent',
    );
  }
}

/** The card of the options. @throws AgentError, ReaderError before an order is made. */
async function openTapCard(
  values: OptionValues,
  dataDir: string,
  fault: string | null,
): Promise<TapCard> {
  const reader = textOption(values, 'reader');
  const wanted = interfaceOption(values);
  if (reader !== undefined) return await readerTapCard(reader, wanted);
  const isWrongKey = textOption(values, 'fault') === 'wrong-issuer-key';
  const usual = values['load'] ? 'e-cash' : 'debit';
  const card = textOption(values, 'card') ?? (isWrongKey ? 'wrong-issuer-key' : usual);
  return virtualTapCard(openCards(dataDir), { card, interface: wanted ?? 'contact', fault });
}

function readRequest(values: OptionValues): Omit<TapRequest, 'system' | 'onApdu' | 'card'> {
  const isLoad = values['load'] === true;
  const amount = textOption(values, 'amount') ?? (isLoad ? '50.00' : '12.34');
  const currency = textOption(values, 'currency') ?? '156';
  const fault = textOption(values, 'fault') ?? null;
  assertCardOptions(values);
  assertAmount(amount, currency);
  assertFault(fault);
  const isWrongKey = fault === 'wrong-issuer-key';
  const notifyUrl = textOption(values, 'notify-url') ?? null;
  const pin = readPin(values);
  const kind = isLoad ? ('ecashLoad' as const) : ('purchase' as const);
  const told = { kind, amount, currency, pin, notifyUrl };
  return { ...told, fault: isWrongKey ? null : fault };
}

function assertAmount(amount: string, currency: string): void {
  try {
    currencyExponent(currency);
    parseAmount(amount, currency);
  } catch (thrown) {
    throw new UsageError(`--amount ${amount}: ${thrown instanceof Error ? thrown.message : ''}`);
  }
}

function assertFault(fault: string | null): void {
  if (fault === null || fault === 'wrong-issuer-key' || fault === 'drop-reply') return;
  const hop = /^kill-gateway@(.*)$/.exec(fault)?.[1];
  const isKnown = hop === undefined ? isGatewayFault(fault) : Object.hasOwn(Hop, hop);
  if (isKnown) return;
  if (hop === undefined && cardFault(fault)) return;
  throw new UsageError(`--fault ${fault} is unknown; see tapnpay tap --help`);
}

function readPin(values: OptionValues): string | null {
  const pin = textOption(values, 'pin') ?? SANDBOX_PIN;
  if (pin === 'none') return null;
  const digits = pin === '-' ? readFileSync(0, 'utf8').trim() : pin;
  if (!/^[0-9]{4,12}$/.test(digits)) throw new UsageError('--pin takes 4 to 12 digits, - or none');
  return digits;
}

type Found = { readonly system: SystemConfig; readonly close: () => Promise<void> };

/** The running system of the data folder, or an own one in a temporary folder. */
async function findSystem(values: OptionValues): Promise<Found> {
  if (!values['own']) {
    const running = await runningSystem(resolve(textOption(values, 'data') ?? defaultDataDir));
    if (running) return { system: running, close: async () => {} };
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-'));
  // The database's own user must be able to pass.
  chmodSync(dataDir, 0o711);
  process.stderr.write(`${OWN_SYSTEM}\n`);
  const launched = await launchSystem({ dataDir, basePort: 0 });
  const close = async (): Promise<void> => {
    await launched.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { system: launched.config, close };
}

async function runningSystem(dataDir: string): Promise<SystemConfig | null> {
  try {
    const system = readSystemConfig(dataDir);
    const gateway = new GatewayClient({ url: urlOf(system, 'gatewayHttp'), dataDir });
    return (await gateway.isReady()) ? system : null;
  } catch {
    return null;
  }
}
