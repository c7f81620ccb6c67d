/** Orders that were made in this browser. */
import type { ShopOrderView } from '@tapnpay/protocol/wire';
import type { ReactNode } from 'react';
import { amountText, timeText } from '../shared/format.ts';
import { language } from '../shared/i18n.ts';
import { ApiError, api } from './api.ts';
import { textOf, useLoaded, usePageTitle } from './hooks.ts';
import { Link, Waiting } from './parts.tsx';
import { pictureUrl } from './pictures.ts';
import { parseRecent } from './recent-orders.ts';
import { RECENT_KEY, readStored } from './storage.ts';
import { t } from './texts.ts';

/** Those that the shop still knows. */
async function loadRecent(): Promise<readonly ShopOrderView[]> {
  const ids = parseRecent(readStored(RECENT_KEY));
  const orders = await Promise.all(
    ids.map((orderId) =>
      api.order(orderId).catch((thrown: unknown) => {
        if (ApiError.of(thrown).code === 'ERR_ORDER_NOT_FOUND') return null;
        throw thrown;
      }),
    ),
  );
  return orders.filter((order) => order !== null);
}

export function RecentPage(): ReactNode {
  const heading = usePageTitle(`${t('recentTitle')} · ${t('shopName')}`);
  const orders = useLoaded('recent', loadRecent);
  return (
    <section className="recent-page">
      <h1 ref={heading} tabIndex={-1}>
        {t('recentTitle')}
      </h1>
      <p className="quiet">{t('recentText')}</p>
      {orders.value === null && <Waiting of={orders} />}
      {orders.value?.length === 0 && (
        <div className="waiting panel">
          <p>{t('recentEmpty')}</p>
          <Link className="button" to="/">
            {t('goOn')}
          </Link>
        </div>
      )}
      <ul className="recent">
        {orders.value?.map((order) => (
          <Recent key={order.orderId} order={order} />
        ))}
      </ul>
    </section>
  );
}

function Recent({ order }: { readonly order: ShopOrderView }): ReactNode {
  const names = order.items.map(({ name }) => textOf(name)).join(language() === 'zh' ? '、' : ', ');
  return (
    <li>
      <Link className="panel" to={`/orders/${order.orderId}`}>
        <span className="recent-pictures" aria-hidden="true">
          {order.items.slice(0, 3).map(({ goodsId, picture }) => (
            <img key={goodsId} src={pictureUrl(picture)} alt="" width="400" height="400" />
          ))}
        </span>
        <span className="recent-text">
          <b>{names}</b>
          <span className="quiet">
            <span className="mono">{order.orderNumber}</span> · {timeText(order.createdAtMs)}
          </span>
        </span>
        <span className={`badge state-badge ${order.state}`}>{t(`short${order.state}`)}</span>
        <b>{amountText(order.amountMinor, order.currency)}</b>
      </Link>
    </li>
  );
}
