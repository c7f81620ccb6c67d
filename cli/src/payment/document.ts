/** The document that `tap --json` prints: one payment from order to receipt. */
import {
  type CardInterface,
  type ElementPayResult,
  Hop,
  type HopName,
  type HopRecord,
  type TraceHop,
} from '@tapnpay/protocol/wire';
import type { OrderView, PaymentView } from './gateway-client.ts';

/** One hop as shown: milliseconds since the order, or null when nobody saw it. */
export type ShownHop = {
  readonly n: number;
  readonly name: HopName;
  readonly status: TraceHop['status'];
  readonly party: string | null;
  readonly ms: number | null;
  readonly facts: HopRecord['facts'];
};

/** Outcome, card data, issuer's verdict and the 14 hops. */
export type TapDocument = {
  readonly outcome: ElementPayResult['outcome'];
  /** What became of an unknown outcome: `reversed`, `approved`, `declined`, or null. */
  readonly resolution: string | null;
  readonly reason: string | null;
  readonly charged: ElementPayResult['charged'];
  readonly responseCode: string | null;
  readonly orderId: string;
  readonly orderStatus: string;
  readonly paymentId: string | null;
  readonly amountMinor: string;
  readonly currency: string;
  readonly interface: CardInterface;
  readonly card: { readonly label: string; readonly panMasked: string } | null;
  readonly cryptogram: ElementPayResult['cryptogram'];
  readonly tvr: string;
  readonly tsi: string;
  readonly cvmResults: string;
  readonly dataAuthentication: ElementPayResult['dataAuthentication'];
  readonly issuer: {
    readonly arqcVerified: boolean | null;
    readonly ledgerEntryId: string | null;
    /** Why the issuer refused, such as `arqcWrong`. */
    readonly reason?: string | null;
  };
  readonly channel: ElementPayResult['channel'];
  readonly hops: readonly ShownHop[];
  readonly totalMs: number;
};

/** What a run of `tap` gathered. */
export type TapFacts = {
  readonly order: OrderView;
  readonly payment: PaymentView | null;
  readonly result: ElementPayResult;
  /** How the card was read, or was meant to be. */
  readonly interface: CardInterface;
  readonly resolution: string | null;
  readonly hops: readonly HopRecord[];
  readonly startedMs: number;
  readonly totalMs: number;
};

/** Puts the gathered facts in the order of the document. */
export function tapDocument(facts: TapFacts): TapDocument {
  const { order, payment, result } = facts;
  return {
    outcome: result.outcome,
    resolution: facts.resolution,
    reason: reasonOf(facts),
    charged: result.charged,
    responseCode: result.responseCode ?? payment?.responseCode ?? null,
    orderId: order.orderId,
    orderStatus: order.status,
    paymentId: result.paymentId ?? payment?.paymentId ?? null,
    amountMinor: order.amountMinor,
    currency: order.currency,
    interface: facts.interface,
    card: result.card,
    cryptogram: result.cryptogram,
    tvr: result.tvr,
    tsi: result.tsi,
    cvmResults: result.cvmResults,
    dataAuthentication: result.dataAuthentication,
    issuer: payment?.issuer ?? { arqcVerified: null, ledgerEntryId: null },
    channel: result.channel,
    hops: showHops(facts),
    totalMs: facts.totalMs,
  };
}

/** Who refused and why; of a declined payment the gateway knows best. */
function reasonOf({ payment, result }: TapFacts): string | null {
  const told = payment?.status === 'declined' ? payment.reason : null;
  return told ?? result.reason ?? payment?.reason ?? null;
}

/** All 14 hops in order; of several records of one hop the first counts. */
function showHops(facts: TapFacts): readonly ShownHop[] {
  const names = Object.entries(Hop) as [HopName, number][];
  return names.map(([name, n]) => {
    const [first] = facts.hops
      .filter((record) => record.n === n)
      .sort((left, right) => left.atMs - right.atMs);
    if (!first) {
      return { n, name, status: absence(name, facts), party: null, ms: null, facts: {} };
    }
    return {
      n,
      name,
      status: 'passed',
      party: first.party,
      ms: Math.round(first.atMs - facts.startedMs),
      facts: first.facts,
    };
  });
}

/** A tap has no second cryptogram: its card has left when the issuer answers. */
function absence(name: HopName, facts: TapFacts): ShownHop['status'] {
  return name === 'finish' && facts.interface === 'contactless' ? 'notApplicable' : 'notReached';
}
