/** The hosted pay page: `/pay/<orderId>` shows one order and takes its payment. */
import './pay.css';
import { ChosenTransport, createPayment } from '@tapnpay/plugin/engine';
import { onLanguage } from '../shared/i18n.ts';
import { PayPage } from './page.ts';
import { loadTexts } from './texts.ts';

const orderId = decodeURIComponent(location.pathname.split('/').at(-1) ?? '');
const page = new PayPage();
let isSpeaking = false;
const transport = new ChosenTransport(location.origin);
const payment = createPayment({
  orderId,
  gatewayUrl: location.origin,
  transport,
  on: (state) => {
    if (isSpeaking) page.show(state);
  },
});
page.connect(payment, transport);
const speak = async (): Promise<void> => {
  if (!(await loadTexts())) return;
  isSpeaking = true;
  page.show(payment.state);
};
void speak();
onLanguage(speak);
// A page that comes back from the browser's memory or another tab may show an old truth.
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) payment.refresh();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') payment.refresh();
});
