/**
 * Loads of payments on a running system: closed (each element pays as fast as it can) and open
 * (payments begin at their times whatever the system does, and count from then).
 */
import type { CardInterface } from '@tapnpay/protocol/wire';
import type { SimulatedCard } from './card.ts';
import type { ReadyPayment, SimulatedElement } from './element.ts';
import type { Merchant } from './merchant.ts';

/** Amounts of the load, minor units: below every limit of a tap. */
const AMOUNT_MINOR_MIN = 100;
const AMOUNT_MINOR_SPREAD = 900;

/** An element with the cards of its payer. */
export type Payer = {
  readonly element: SimulatedElement;
  readonly cards: readonly SimulatedCard[];
};

/** What every load stands on. */
export type LoadPorts = {
  readonly payers: readonly Payer[];
  readonly merchant: Merchant;
  readonly notifyUrl: string;
};

/** What came of a load. */
export type LoadResult = {
  readonly approved: number;
  /** Payments that ended otherwise, by outcome or fault. */
  readonly others: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** From the (intended) start of the order to the last word on the channel, ms. */
  readonly latenciesMs: readonly number[];
};

/** How channels are used. */
export type ChannelUse = 'open' | 'cold' | 'resumed';

type Tally = { approved: number; readonly others: Map<string, number>; readonly ms: number[] };

let orderCount = 0;
const runId = process.pid.toString(36) + Date.now().toString(36);

/** Card data and PIN blocks of `count` payments, dealt to the payers in turn. */
export function prepareLoad(
  payers: readonly Payer[],
  count: number,
): readonly (readonly ReadyPayment[])[] {
  const dateYymmdd = localDate();
  return payers.map(({ element, cards }, index) => {
    const own = Math.floor(count / payers.length) + (index < count % payers.length ? 1 : 0);
    return Array.from({ length: own }, (_, turn) => {
      const wire: CardInterface = (turn + index) % 2 === 0 ? 'contact' : 'contactless';
      const amountMinor = String(AMOUNT_MINOR_MIN + ((turn * 7 + index) % AMOUNT_MINOR_SPREAD));
      const card = cards[turn % cards.length];
      if (!card) throw new Error('a payer without cards');
      const withPin = wire === 'contact';
      return element.prepare(card.pay({ interface: wire, amountMinor, dateYymmdd, withPin }));
    });
  });
}

/** Each of `payersMax` payers pays one after another, all at once. */
export async function closedLoad(
  ports: LoadPorts,
  ready: readonly (readonly ReadyPayment[])[],
  options: { readonly channels: ChannelUse; readonly payersMax?: number },
): Promise<LoadResult> {
  const tally = newTally();
  const queues = ports.payers.map((payer, index) => ({ payer, ready: [...(ready[index] ?? [])] }));
  const startedMs = performance.now();
  const lanes = options.payersMax ?? queues.length;
  const waiting = [...queues];
  const lane = async (): Promise<void> => {
    for (let queue = waiting.shift(); queue; queue = waiting.shift()) {
      for (const payment of queue.ready) {
        await tallied(tally, performance.now(), async () => {
          if (options.channels !== 'open') await queue.payer.element.open(resumeOf(options));
          const end = await payOne(ports, queue.payer.element, payment);
          if (options.channels !== 'open') await queue.payer.element.close();
          return end;
        });
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return resultOf(tally, (performance.now() - startedMs) / 1000);
}

/** `perSecond` payments a second begin at even times; an element that is busy takes it later. */
export async function openLoad(
  ports: LoadPorts,
  ready: readonly (readonly ReadyPayment[])[],
  perSecond: number,
): Promise<LoadResult> {
  const tally = newTally();
  const free = ports.payers.map((payer, index) => ({ payer, ready: [...(ready[index] ?? [])] }));
  const due: number[] = [];
  const count = ready.reduce((sum, { length }) => sum + length, 0);
  const startedMs = performance.now();
  let begun = 0;
  let ended = 0;
  await new Promise<void>((done) => {
    const start = (): void => {
      while (due.length > 0) {
        const index = free.findIndex((payer) => payer.ready.length > 0);
        const [lane] = index < 0 ? [] : free.splice(index, 1);
        const payment = lane?.ready.shift();
        if (!lane || !payment) return;
        const dueMs = due.shift() ?? 0;
        void tallied(tally, dueMs, () => payOne(ports, lane.payer.element, payment)).then(() => {
          ended += 1;
          free.push(lane);
          if (ended === count) done();
          else start();
        });
      }
    };
    const timer = setInterval(() => {
      const nowMs = performance.now();
      while (begun < count && startedMs + (begun * 1000) / perSecond <= nowMs) {
        due.push(startedMs + (begun * 1000) / perSecond);
        begun += 1;
      }
      if (begun === count) clearInterval(timer);
      start();
    }, 1);
  });
  return resultOf(tally, (performance.now() - startedMs) / 1000);
}

async function payOne(
  { merchant, notifyUrl }: LoadPorts,
  element: SimulatedElement,
  payment: ReadyPayment,
): Promise<string> {
  orderCount += 1;
  const { amountMinor } = payment.card;
  const amount = `${amountMinor.slice(0, -2) || '0'}.${amountMinor.slice(-2)}`;
  const orderId = await merchant.order({ number: `L${runId}-${orderCount}`, amount, notifyUrl });
  const { outcome, responseCode } = await element.pay(orderId, payment);
  return outcome === 'approved' ? outcome : `${outcome}:${responseCode}`;
}

async function tallied(tally: Tally, fromMs: number, pay: () => Promise<string>): Promise<void> {
  let end: string;
  try {
    end = await pay();
  } catch (fault) {
    end = fault instanceof Error ? fault.message : String(fault);
  }
  tally.ms.push(performance.now() - fromMs);
  if (end === 'approved') tally.approved += 1;
  else tally.others.set(end, (tally.others.get(end) ?? 0) + 1);
}

function newTally(): Tally {
  return { approved: 0, others: new Map(), ms: [] };
}

function resultOf(tally: Tally, seconds: number): LoadResult {
  const { approved, others, ms } = tally;
  return { approved, others: Object.fromEntries(others), seconds, latenciesMs: ms };
}

function resumeOf({ channels }: { readonly channels: ChannelUse }): { readonly resume: boolean } {
  return { resume: channels === 'resumed' };
}

/** Today in China, YYMMDD. */
function localDate(): string {
  const local = new Date(Date.now() + 8 * 3_600_000).toISOString();
  return local.slice(2, 10).replaceAll('-', '');
}
