/** Typed host calls: a yield whose answer has the type of its call. */
import { faultOf } from '@tapnpay/protocol/globalplatform/applet';
import type {
  HopName,
  HopRecord,
  HostAnswers,
  HostCall,
  HostConversation,
} from '@tapnpay/protocol/wire';

/** Asks the element; its coded fault is thrown here. */
export function* ask<Call extends HostCall>(
  call: Call,
): HostConversation<HostAnswers[Call['call']]> {
  try {
    return (yield call) as HostAnswers[Call['call']];
  } catch (fault) {
    throw faultOf(fault);
  }
}

/** Reports a passed hop. */
export function* passHop(name: HopName, facts: HopRecord['facts']): HostConversation<void> {
  yield* ask({ call: 'hop', name, facts });
}
