/** The payment application's life cycle (安装/可操作/锁定) as the element's registry has it. */
import { CARD_7F_CARD_LOCKED, CARD_FF_TERMINATED } from '@tapnpay/protocol/globalplatform/data';
import type { CardState } from '@tapnpay/protocol/globalplatform/oncard';
import type { ApplicationLifeCycle } from '@tapnpay/protocol/wire';
import { paymentApplicationState } from './card/index.ts';

/**
 * At this moment: a lock stops a payment that is under way, too. A card that is locked as a whole
 * locks it; an element without a card, or whose card has no such application, runs the one that
 * came with it. @see GPCS 2.3.1 §5.1, §5.3
 */
export function lifeCycleOf(
  card: { readonly state: () => CardState } | null,
): ApplicationLifeCycle {
  if (card === null) return 'operable';
  const state = card.state();
  const { lifeCycle } = state;
  if (lifeCycle === CARD_7F_CARD_LOCKED || lifeCycle === CARD_FF_TERMINATED) return 'locked';
  const application = paymentApplicationState(state);
  return application === 'absent' ? 'operable' : application;
}
