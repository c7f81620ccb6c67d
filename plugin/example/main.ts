/** A shop's page in ten lines: one button pays the order that the shop's server made. */
import { createTapAndPay } from '@tapnpay/plugin';

const { orderId = '', gatewayUrl = '' } = Object.fromEntries(new URLSearchParams(location.search));
const tapAndPay = createTapAndPay({ gatewayUrl });
const say = (text: string): void => document.querySelector('#said')?.replaceChildren(text);
document.querySelector('#pay')?.addEventListener('click', async () => {
  const { name, charged } = await tapAndPay.pay(orderId, { on: (state) => say(state.name) });
  say(charged === 'yes' ? 'Thank you!' : `${name}, charged: ${charged}`);
});
