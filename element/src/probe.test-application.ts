/** An application that says right and wrong things to the element; loaded by tests only. */
import type { Applet } from '@tapnpay/protocol/globalplatform/applet';
import type {
  ElementPayResult,
  HostCall,
  HostConversation,
  ShownOrder,
} from '@tapnpay/protocol/wire';

const ORDER: ShownOrder = {
  ...{ kind: 'purchase', amountMinor: '1234', currency: '156' },
  ...{ merchantName: 'Test Shop', origin: 'https://shop.test' },
};
const SELECT: HostCall = { call: 'cardTransmit', command: Uint8Array.of(0, 0xa4, 4, 0) };
const RELEASE: HostCall = { call: 'releaseCard' };
/** What the element takes for a secret: something that hides its value until it is asked. */
const pan = { expose: () => '6299990000000009' } as never;
const SEAL_PIN: HostCall = { call: 'sealPin', pan, ...ORDER };
const present = (attempt: number): HostCall => {
  return { call: 'presentCard', ...ORDER, interfaces: ['contact'], attempt, reason: null };
};

/** Host calls of an application by name, right and wrong ones. */
const CALLS: Readonly<Record<string, readonly HostCall[]>> = {
  hang: [present(1), SELECT],
  'no-card': [SELECT],
  released: [present(1), RELEASE, SELECT],
  'card-gone-again': [present(1), SELECT, present(2)],
  'pin-early': [SEAL_PIN],
  'pin-twice': [present(1), SEAL_PIN, SEAL_PIN],
  'pin-again': [present(1), SEAL_PIN, present(2), SEAL_PIN],
  'cards-endless': Array.from({ length: 9 }, () => present(1)),
  unknown: [{ call: 'format' } as never],
  confused: [{ call: 'cardTransmit', command: '00A4' } as never],
};

function* pay(what: string): HostConversation<ElementPayResult> {
  for (const call of CALLS[what] ?? []) yield call;
  if (what === 'defect') throw new TypeError('a defect');
  for (;;) {
    if (what === 'endless') yield { call: 'clock' } satisfies HostCall;
    else if (what !== 'loop') break;
  }
  if (what === 'no-result') return {} as never;
  return {
    outcome: 'cancelled',
    reason: what,
    charged: 'no',
    interface: null,
    paymentId: null,
    responseCode: null,
    card: null,
    cryptogram: { arqc: null, arpc: null, second: null, secondType: null },
    tvr: '',
    tsi: '',
    cvmResults: '',
    dataAuthentication: 'none',
    channel: null,
  };
}

/** The entry the element looks for. */
export function createApplet(): Applet {
  return {
    process: () => ({ data: new Uint8Array(0), statusWord: 0x6d00 as never }),
    converse: (intent) => pay((intent as { readonly orderId: string }).orderId),
  };
}
