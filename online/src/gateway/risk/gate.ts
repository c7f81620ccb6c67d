/** The door between the payment's step and the rules: a card number goes in, its digest goes on. */
import { maskPan } from '@tapnpay/protocol/bytes';
import type { Vault } from '../../runtime/vault.ts';
import type { Order } from '../model.ts';
import type { RiskDecision, RiskEngine } from './engine.ts';

/** First digits that a list of BINs may look at. */
const BIN_DIGITS_SEEN = 8;

/** What the step before the commit point asks. */
export interface RiskGate {
  assess(payment: {
    readonly order: Pick<Order, 'orderId' | 'merchantId' | 'mode' | 'amountMinor' | 'currency'>;
    readonly elementId: string;
    readonly pan: string;
  }): Promise<Pick<RiskDecision, 'decision' | 'decisionId'>>;
}

/** A gate over an engine; digests are the vault's, so nobody without its key can guess one. */
export function riskGate(engine: RiskEngine, vault: Pick<Vault, 'digest'>): RiskGate {
  return {
    assess: ({ order, elementId, pan }) => {
      const { orderId, merchantId, mode, amountMinor, currency } = order;
      const card = { cardDigest: vault.digest(pan), bin: pan.slice(0, BIN_DIGITS_SEEN) };
      return engine.assess({
        ...{ orderId, merchantId, mode, elementId, amountMinor, currency },
        ...{ ...card, panMasked: maskPan(pan) },
      });
    },
  };
}
