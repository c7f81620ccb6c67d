/**
 * Whatever comes, in whatever order and however often: entries sum to zero, projections equal
 * their entries and holds, no more is given back than was captured, none captured beyond consent,
 * and a card has lost exactly what still stands against it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Iso8583Message, TransactionKind } from '@tapnpay/protocol/iso8583';
import fc from 'fast-check';
import { IssuerWorld, NOW_MS, withMac } from './issuer.test-kit.ts';
import type { Books, RequestRecord } from './model.ts';

const DAY_MS = 24 * 3_600_000;
/** A poor card, so that funds run out, and one with electronic cash. */
const ACCOUNTS = [2, 13] as const;
const OPENING: Readonly<Record<number, bigint>> = { 2: 100n, 13: 10_000_000n };

type Sent = { readonly message: Iso8583Message; approvalCode: string | null };
type Operation =
  | {
      readonly do: 'card';
      readonly kind: TransactionKind;
      readonly account: 2 | 13;
      amount: bigint;
    }
  | { readonly do: 'follow'; readonly kind: TransactionKind; readonly which: number; part: bigint }
  | { readonly do: 'reverse' | 'repeat' | 'reverseUnsent'; readonly which: number }
  | { readonly do: 'sleep'; readonly days: number };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    do: fc.constant('card' as const),
    kind: fc.constantFrom<TransactionKind>('sale', 'preAuthorisation', 'offlineSaleAdvice'),
    account: fc.constantFrom(...ACCOUNTS),
    amount: fc.bigInt(1n, 80n),
  }),
  fc.record({
    do: fc.constant('follow' as const),
    kind: fc.constantFrom<TransactionKind>(
      ...(['saleVoid', 'refund', 'preAuthorisationCancel'] as const),
      ...(['completionAdvice', 'completionVoid'] as const),
    ),
    which: fc.nat(30),
    // Of the original's amount in per cent; above it, too.
    part: fc.constantFrom(0n, 30n, 50n, 100n, 100n, 100n, 130n),
  }),
  fc.record({
    do: fc.constantFrom('reverse' as const, 'repeat' as const, 'reverseUnsent' as const),
    which: fc.nat(30),
  }),
  fc.record({ do: fc.constant('sleep' as const), days: fc.constantFrom(0, 1, 31) }),
);

const sequence = fc.array(operation, { minLength: 25, maxLength: 50, size: 'max' });

const FOLLOWED: Readonly<Partial<Record<TransactionKind, readonly string[]>>> = {
  saleVoid: ['sale'],
  refund: ['sale', 'completionAdvice'],
  preAuthorisationCancel: ['preAuthorisation'],
  completionAdvice: ['preAuthorisation'],
  completionVoid: ['completionAdvice'],
};

class Run {
  readonly world: IssuerWorld;
  readonly counts = new Map<string, number>();
  readonly #sent: (Sent & { readonly kind: TransactionKind })[] = [];

  constructor(world: IssuerWorld) {
    this.world = world;
  }

  async step(next: Operation): Promise<void> {
    const { world } = this;
    if (next.do === 'sleep') {
      world.clock.set(world.clock.nowMs() + next.days * DAY_MS);
      await world.store.expireHolds(world.clock.nowMs(), 100);
    } else if (next.do === 'card') {
      const { kind, account, amount } = next;
      const pin = kind === 'offlineSaleAdvice' ? null : '123456';
      await this.#send(kind, world.purchase({ kind, account, amount, pin }));
    } else if (next.do === 'follow') {
      const fitting = this.#sent.filter(({ kind }) => FOLLOWED[next.kind]?.includes(kind));
      const original = fitting[next.which % Math.max(1, fitting.length)];
      if (!original) return;
      const whole = BigInt(String(original.message.fields.get(4)));
      const amount = (whole * next.part) / 100n;
      await this.#send(next.kind, world.followUp(next.kind, original, { amount }));
    } else if (next.do === 'reverseUnsent') {
      const late = world.purchase({ account: 2, amount: 10n });
      await this.#answer(world.reversal(late));
      await this.#answer(late);
    } else {
      const one = this.#sent[next.which % Math.max(1, this.#sent.length)];
      if (!one) return;
      await this.#answer(next.do === 'repeat' ? one.message : world.reversal(one.message));
    }
  }

  async #send(kind: TransactionKind, message: Iso8583Message): Promise<void> {
    const reply = await this.#answer(message);
    this.#sent.push({ kind, message, approvalCode: reply.approvalCode });
    const name = `${kind} ${reply.code}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  async #answer(message: Iso8583Message) {
    const reply = await this.world.send(withMac(message));
    assert.ok(reply, JSON.stringify(this.world.log.at(-1)));
    return reply;
  }
}

function checkBooks(books: Books): void {
  const sums = new Map<string, bigint>();
  for (const { postings } of books.transactions) {
    assert.equal(
      postings.reduce((sum, { amountMinor }) => sum + amountMinor, 0n),
      0n,
    );
    for (const { accountId, amountMinor } of postings) {
      sums.set(accountId, (sums.get(accountId) ?? 0n) + amountMinor);
    }
  }
  for (const { accountId, balanceMinor, heldMinor, creditLineMinor } of books.accounts) {
    if (balanceMinor === null) continue;
    assert.equal(balanceMinor, sums.get(accountId) ?? 0n, `${accountId} equals its entries`);
    const held = books.holds
      .filter((hold) => hold.accountId === accountId)
      .reduce((sum, hold) => sum + hold.heldMinor, 0n);
    assert.equal(heldMinor, held, `${accountId} equals its holds`);
    if (accountId.startsWith('owed-')) assert.ok(balanceMinor <= 0n);
    else assert.ok(balanceMinor + creditLineMinor - heldMinor >= 0n, `${accountId} is available`);
  }
  for (const hold of books.holds) {
    assert.ok(hold.heldMinor + hold.postedMinor <= hold.amountMinor, 'captured within consent');
  }
  for (const record of books.requests) checkRefunds(books, record);
}

function checkRefunds(books: Books, { traceKey, amountMinor, returnedMinor }: RequestRecord): void {
  const refunds = books.requests
    .filter(({ kind, state }) => kind === 'refund' && state === 'approved')
    .filter(({ originalTraceKey }) => originalTraceKey === traceKey)
    .reduce((sum, refund) => sum + refund.amountMinor, 0n);
  assert.ok(refunds <= returnedMinor && returnedMinor <= amountMinor, 'refunds within captured');
}

/** What still stands against the card, in the words of the requests alone. */
function standingMinor(books: Books, cardId: string): bigint {
  return books.requests
    .filter((record) => record.cardId === cardId && record.state === 'approved')
    .filter(({ kind }) => kind === 'sale' || kind === 'completionAdvice')
    .reduce((sum, { amountMinor, returnedMinor }) => sum + amountMinor - returnedMinor, 0n);
}

test('any sequence of operations keeps the books', async () => {
  const counts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(sequence, async (operations) => {
      const run = new Run(await IssuerWorld.open());
      for (const next of operations) await run.step(next);
      const books = await run.world.books();
      checkBooks(books);
      for (const account of ACCOUNTS) {
        const { cardId, balanceMinor, owedMinor } = await run.world.card(account);
        const lost = (OPENING[account] ?? 0n) - (balanceMinor - owedMinor);
        assert.equal(lost, standingMinor(books, cardId), `card ${account} lost what stands`);
      }
      for (const [name, count] of run.counts) counts.set(name, (counts.get(name) ?? 0) + count);
      assert.ok(run.world.clock.nowMs() >= NOW_MS);
    }),
    { numRuns: 150 },
  );
  // A run in which a kind never succeeded and never failed shows nothing.
  for (const kind of ['sale', 'preAuthorisation', 'offlineSaleAdvice', ...Object.keys(FOLLOWED)]) {
    assert.ok((counts.get(`${kind} 00`) ?? 0) > 0, `${kind} was approved`);
  }
  for (const name of ['sale 51', 'refund 64', 'saleVoid 12', 'completionAdvice 12']) {
    assert.ok((counts.get(name) ?? 0) > 0, name);
  }
});
