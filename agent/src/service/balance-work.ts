/**
 * A look at a card's e-cash balance as the work of a session: the person's yes, a fresh card, then
 * SELECT and GET DATA alone. Nothing is paid or counted, and nothing of the card goes to the log.
 */
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { Iso7816Error } from '@tapnpay/protocol/iso7816';
import type { CardBalance } from '@tapnpay/protocol/wire';
import { readBalance } from '../readers/purse-and-log.ts';
import type { DeskSession, SessionEnd, SessionWork, TakenCard } from './desk-session.ts';
import type { PayingElement } from './element-keeper.ts';
import { ServiceError } from './errors.ts';
import type { LookRequest } from './session-machine.ts';

/** Cards asked for in one look, the first included. */
export const BALANCE_PRESENTATIONS_MAX = 4;

/** A card that was not read to its end; another try can succeed. */
const TORN_CODES: ReadonlySet<string> = new Set(['ERR_CARD_REMOVED', 'ERR_CARD_TRANSPORT']);

/** What pages are told where the kernel's own word is longer. */
const REASONS: Readonly<Record<string, string>> = { 'card:noElectronicCash': 'card:noPurse' };

export type BalanceWorkPorts = {
  /** Kept from others meanwhile. */
  readonly element: Pick<PayingElement, 'keepFor'>;
  readonly ciphers: CipherProvider;
};

type Found = { readonly balance: CardBalance | null; readonly reason: string | null };

/** One look. */
export class BalanceWork implements SessionWork {
  readonly intent = 'balance';
  readonly orderId = null;
  readonly #ports: BalanceWorkPorts;

  constructor(ports: BalanceWorkPorts) {
    this.#ports = ports;
  }

  async run(desk: DeskSession): Promise<SessionEnd> {
    const use = { gatewayOrigin: desk.page.origin, orderId: null };
    const found = await this.#ports.element.keepFor(use, () => this.#look(desk));
    const { session, endedBy } = desk;
    // Whoever took the yes back while the card was read has shown nothing.
    const told = endedBy === null ? found : { balance: null, reason: endedBy };
    desk.tell({ type: 'balanceResult', session, ...told });
    return { outcome: told.balance === null ? 'notRead' : 'read', reason: told.reason };
  }

  onFrame(): void {
    // No record passes here.
  }

  cut(): void {
    // Nothing leaves but the result.
  }

  /** Asks for cards until one was read to its end. */
  async #look(desk: DeskSession): Promise<Found> {
    let reason: string | null = null;
    for (let attempt = 1; attempt <= BALANCE_PRESENTATIONS_MAX; attempt++) {
      try {
        const found = await this.#read(await desk.presentCard(requestOf(attempt, reason)));
        desk.apply({ type: 'cardDone' });
        return found;
      } catch (fault) {
        // What the person decided, or left undecided, is an answer.
        if (fault instanceof ServiceError) return { balance: null, reason: fault.code };
        if (!isTorn(fault)) throw fault;
        reason = fault.code;
      }
    }
    desk.apply({ type: 'cardDone' });
    return { balance: null, reason };
  }

  async #read({ card, interface: way, panMasked }: TakenCard): Promise<Found> {
    const read = await readBalance(card, { ciphers: this.#ports.ciphers, interface: way });
    if (read.result === 'none') {
      return { balance: null, reason: REASONS[read.reason] ?? read.reason };
    }
    const [purse] = read.purses;
    if (purse === undefined) return { balance: null, reason: 'card:noPurse' };
    const { currency, balanceMinor } = purse;
    return {
      balance: { currency, balanceMinor: balanceMinor.toString(), panMasked },
      reason: null,
    };
  }
}

function isTorn(fault: unknown): fault is Iso7816Error {
  return fault instanceof Iso7816Error && TORN_CODES.has(fault.code);
}

function requestOf(attempt: number, reason: string | null): LookRequest {
  return { kind: 'balance', interfaces: ['contact', 'contactless'], attempt, reason };
}
