/** An order as it truly stands: asks the server until its state is final. */
import type { ShopOrderView } from '@tapnpay/protocol/wire';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { amountText, panText, timeText } from '../shared/format.ts';
import { language } from '../shared/i18n.ts';
import { ApiError, api } from './api.ts';
import { isWebAddress, rememberOrder } from './checkout.ts';
import { type Loaded, textOf, useLoaded, usePageTitle } from './hooks.ts';
import { pollPauseMs } from './order-polling.ts';
import { ErrorText, Link, Waiting } from './parts.tsx';
import { pictureUrl } from './pictures.ts';
import { t } from './texts.ts';

export function OrderPage(props: { readonly orderId: string }): ReactNode {
  const { orderId } = props;
  const order = useLoaded(orderId, () => api.order(orderId));
  usePolling(order);
  const heading = usePageTitle(`${t('order')} · ${t('shopName')}`);
  const isFound = order.value !== null;
  useEffect(() => {
    if (isFound) rememberOrder(orderId);
  }, [isFound, orderId]);
  return (
    <div className="order-page">
      <h1 ref={heading} tabIndex={-1} className="visually-hidden">
        {t('order')}
      </h1>
      {order.value ? (
        <OrderView order={order.value} onChange={order.put} />
      ) : (
        <Waiting of={order} />
      )}
    </div>
  );
}

/** Asks again with growing pauses; at once when the page comes back to the front. */
function usePolling(order: Loaded<ShopOrderView>): void {
  const { value, error, reload } = order;
  const asked = useRef(0);
  const state = value?.state ?? null;
  const stamp = value?.nowMs ?? 0;
  useEffect(() => {
    if (state !== null) asked.current = 0;
  }, [state]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each answer plans the next question
  useEffect(() => {
    const pauseMs = state === null ? (error ? 8_000 : null) : pollPauseMs(state, asked.current);
    if (pauseMs === null) return;
    const ask = (): void => {
      asked.current++;
      void reload();
    };
    const timer = setTimeout(ask, pauseMs);
    const onShow = (): void => {
      if (document.visibilityState === 'visible') void reload();
    };
    document.addEventListener('visibilitychange', onShow);
    addEventListener('pageshow', onShow);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onShow);
      removeEventListener('pageshow', onShow);
    };
  }, [state, stamp, error, reload]);
}

type Tone = 'good' | 'wait' | 'unknown' | 'quiet';

function toneOf({ state, isProcessing }: ShopOrderView): Tone {
  if (state === 'paid') return 'good';
  if (state === 'unknownPayment' || isProcessing) return 'unknown';
  return state === 'cancelled' || state === 'expired' ? 'quiet' : 'wait';
}

function OrderView(props: {
  readonly order: ShopOrderView;
  readonly onChange: (order: ShopOrderView) => void;
}): ReactNode {
  const { order } = props;
  return (
    <>
      <section
        className={`state panel ${toneOf(order)}`}
        data-test="order-state"
        data-state={order.state}
        data-processing={order.isProcessing}
      >
        <StateIcon tone={toneOf(order)} />
        <div role="status">
          <h2>{order.isProcessing ? t('stateprocessing') : t(`state${order.state}`)}</h2>
          <p>{stateText(order)}</p>
          {order.state === 'unknownPayment' && <p>{t('unknownMore')}</p>}
          <AttemptText order={order} />
        </div>
        <p className="state-amount">{amountText(order.amountMinor, order.currency)}</p>
        <Actions {...props} />
      </section>
      <Steps order={order} />
      <section className="panel order-items" aria-labelledby="items-title">
        <h2 id="items-title">{t('orderItems')}</h2>
        <ul>
          {order.items.map((item) => (
            <li key={item.goodsId}>
              <img src={pictureUrl(item.picture)} alt="" width="400" height="400" />
              <span className="item-text">
                <b>{textOf(item.name)}</b>
                <span className="quiet">
                  {t('pieces', { count: item.quantity })}{' '}
                  {amountText(item.priceMinor, order.currency)}
                </span>
              </span>
              <b>
                {amountText(
                  String(BigInt(item.priceMinor) * BigInt(item.quantity)),
                  order.currency,
                )}
              </b>
            </li>
          ))}
        </ul>
        <OrderFacts order={order} />
      </section>
    </>
  );
}

function OrderFacts({ order }: { readonly order: ShopOrderView }): ReactNode {
  const pan = order.state === 'paid' ? order.lastAttempt?.panMasked : null;
  return (
    <dl className="facts-list">
      <dt>{t('total')}</dt>
      <dd>
        <b>{amountText(order.amountMinor, order.currency)}</b>
      </dd>
      <dt>{t('orderNumber')}</dt>
      <dd className="mono">{order.orderNumber}</dd>
      <dt>{t('orderTime')}</dt>
      <dd>{timeText(order.createdAtMs)}</dd>
      {order.paidAtMs !== null && (
        <>
          <dt>{t('paidTime')}</dt>
          <dd>{timeText(order.paidAtMs)}</dd>
        </>
      )}
      {pan && (
        <>
          <dt>{t('paidBy')}</dt>
          <dd className="mono">{panText(pan)}</dd>
        </>
      )}
    </dl>
  );
}

function stateText(order: ShopOrderView): string {
  if (order.isProcessing) return t('stateprocessingText');
  const time =
    order.expiresAtMs === null
      ? ''
      : new Date(order.expiresAtMs).toLocaleTimeString(language() === 'zh' ? 'zh-CN' : 'en-GB', {
          timeStyle: 'short',
        });
  return t(`state${order.state}Text`, { time });
}

/** What became of the last try, while the buyer may try again. */
function AttemptText({ order }: { readonly order: ShopOrderView }): ReactNode {
  const outcome = order.lastAttempt?.outcome;
  if (order.payUrl === null || (outcome !== 'declined' && outcome !== 'reversed')) return null;
  const code = order.lastAttempt?.responseCode;
  return (
    <p className="attempt">
      {t(outcome)} {code && <small className="mono">({code})</small>}
    </p>
  );
}

function Actions(props: {
  readonly order: ShopOrderView;
  readonly onChange: (order: ShopOrderView) => void;
}): ReactNode {
  const { order, onChange } = props;
  const [isAsking, setAsking] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const cancel = async (): Promise<void> => {
    setAsking(false);
    setError(null);
    try {
      onChange(await api.cancel(order.orderId));
    } catch (thrown) {
      setError(ApiError.of(thrown));
    }
  };
  const pay = order.payUrl !== null && isWebAddress(order.payUrl) ? order.payUrl : null;
  const isReceipt = order.receiptUrl !== null && isWebAddress(order.receiptUrl);
  return (
    <div className="state-actions">
      <ErrorText error={error} />
      {pay !== null && !isAsking && (
        <>
          <a className="button primary" href={pay} data-test="pay-again">
            {t('payNow')}
          </a>
          <button type="button" data-test="cancel-order" onClick={() => setAsking(true)}>
            {t('cancelOrder')}
          </button>
        </>
      )}
      {isAsking && (
        <>
          <b>{t('cancelSure')}</b>
          <button
            type="button"
            className="danger"
            data-test="cancel-yes"
            onClick={() => void cancel()}
          >
            {t('cancelOrder')}
          </button>
          <button type="button" onClick={() => setAsking(false)}>
            {t('keep')}
          </button>
        </>
      )}
      {isReceipt && (
        <a className="button primary" href={order.receiptUrl ?? ''} data-test="receipt">
          {t('receipt')}
        </a>
      )}
      {pollPauseMs(order.state, 0) === null && (
        <Link className="button" to="/">
          {t('goOn')}
        </Link>
      )}
    </div>
  );
}

function Steps({ order }: { readonly order: ShopOrderView }): ReactNode {
  const { state } = order;
  if (state === 'cancelled' || state === 'expired') return null;
  const done = state === 'paid' ? 3 : 1;
  return (
    <ol className="steps" aria-hidden="true">
      {([1, 2, 3] as const).map((step) => (
        <li key={step} className={step <= done ? 'done' : step === done + 1 ? 'now' : ''}>
          <span>{step}</span>
          {t(`step${step}`)}
        </li>
      ))}
    </ol>
  );
}

const ICON_PATHS: Readonly<Record<Tone, string>> = {
  good: 'M14 25l7 7 14-15',
  wait: 'M24 14v11l7 5',
  unknown: 'M24 13v14M24 33v1',
  quiet: 'M16 16l16 16M32 16L16 32',
};

function StateIcon({ tone }: { readonly tone: Tone }): ReactNode {
  return (
    <svg viewBox="0 0 48 48" className={`state-icon ${tone}`} aria-hidden="true">
      <circle cx="24" cy="24" r="22" />
      <path d={ICON_PATHS[tone]} />
    </svg>
  );
}
