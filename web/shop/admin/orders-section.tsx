/** The merchant's list of orders, and one of them with everything that happened to it. */
import type { ShopAdminOrder, ShopAdminOrderDetail, ShopOrderState } from '@tapnpay/protocol/wire';
import { type FormEvent, type ReactNode, useState } from 'react';
import { amountText, panText, timeText } from '../../shared/format.ts';
import { api } from '../api.ts';
import { textOf, useLoaded } from '../hooks.ts';
import { Waiting } from '../parts.tsx';
import { t } from '../texts.ts';
import { IncidentList } from './admin-page.tsx';
import { MovementTable } from './movement-table.tsx';
import { m, word } from './texts.ts';

const STATES: readonly ShopOrderState[] = [
  ...(['placing', 'awaitingPayment', 'unknownPayment'] as const),
  ...(['paid', 'cancelled', 'expired'] as const),
];
type Query = {
  readonly state: ShopOrderState | '';
  readonly search: string;
  readonly beforeMs: number | null;
};
const EVERYTHING: Query = { state: '', search: '', beforeMs: null };

export function OrdersSection(props: { readonly onRefresh: () => Promise<void> }): ReactNode {
  const [chosen, setChosen] = useState<string | null>(null);
  const [query, setQuery] = useState<Query>(EVERYTHING);
  const orders = useLoaded(JSON.stringify(query), () => api.adminOrders(query));
  if (chosen !== null) return <OrderDetail orderId={chosen} onBack={() => setChosen(null)} />;
  const list = orders.value?.orders ?? [];
  const refresh = (): void => {
    void orders.reload();
    void props.onRefresh();
  };
  return (
    <section aria-labelledby="orders-title">
      <h2 id="orders-title" className="visually-hidden">
        {m('orders')}
      </h2>
      <Filter query={query} onQuery={setQuery} onRefresh={refresh} />
      {orders.value === null && <Waiting of={orders} />}
      {orders.value !== null && list.length === 0 && <p className="panel empty">{m('noOrders')}</p>}
      {list.length > 0 && <OrderTable orders={list} onChoose={setChosen} />}
      <p className="pager">
        {query.beforeMs !== null && (
          <button type="button" onClick={() => setQuery({ ...query, beforeMs: null })}>
            {m('newest')}
          </button>
        )}
        {orders.value?.isMore && (
          <button
            type="button"
            onClick={() => setQuery({ ...query, beforeMs: list.at(-1)?.createdAtMs ?? null })}
          >
            {m('older')}
          </button>
        )}
      </p>
    </section>
  );
}

function Filter(props: {
  readonly query: Query;
  readonly onQuery: (query: Query) => void;
  readonly onRefresh: () => void;
}): ReactNode {
  const { query, onQuery, onRefresh } = props;
  const [search, setSearch] = useState(query.search);
  const find = (event: FormEvent): void => {
    event.preventDefault();
    onQuery({ ...query, search: search.replace(/[^0-9A-Za-z-]/g, ''), beforeMs: null });
  };
  return (
    <form className="filter" onSubmit={find}>
      <label>
        {m('filterState')}
        <select
          value={query.state}
          onChange={(event) =>
            onQuery({ ...query, state: event.target.value as Query['state'], beforeMs: null })
          }
        >
          <option value="">{m('all')}</option>
          {STATES.map((state) => (
            <option key={state} value={state}>
              {t(`short${state}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {m('search')}
        <input
          type="search"
          maxLength={32}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </label>
      <button type="submit">{m('find')}</button>
      <button type="button" className="plain" onClick={onRefresh}>
        {m('refresh')}
      </button>
    </form>
  );
}

function OrderTable(props: {
  readonly orders: readonly ShopAdminOrder[];
  readonly onChoose: (orderId: string) => void;
}): ReactNode {
  return (
    <div className="panel table-frame">
      <table className="data" data-test="admin-orders">
        <thead>
          <tr>
            <th scope="col">{m('number')}</th>
            <th scope="col">{m('time')}</th>
            <th scope="col">{m('state')}</th>
            <th scope="col" className="right">
              {m('pieces')}
            </th>
            <th scope="col" className="right">
              {m('amount')}
            </th>
          </tr>
        </thead>
        <tbody>
          {props.orders.map((order) => (
            <tr key={order.orderId}>
              <td data-label={m('number')}>
                <button
                  type="button"
                  className="link mono"
                  onClick={() => props.onChoose(order.orderId)}
                >
                  {order.orderNumber}
                </button>
              </td>
              <td data-label={m('time')}>{timeText(order.createdAtMs)}</td>
              <td data-label={m('state')}>
                <StateBadge state={order.state} />
                {order.hasIncident && <span className="badge incident">{m('incidentMark')}</span>}
              </td>
              <td data-label={m('pieces')} className="right">
                {order.pieces}
              </td>
              <td data-label={m('amount')} className="right">
                <b>{amountText(order.amountMinor, order.currency)}</b>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StateBadge({ state }: { readonly state: ShopOrderState }): ReactNode {
  return <span className={`badge state-badge ${state}`}>{t(`short${state}`)}</span>;
}

function OrderDetail(props: { readonly orderId: string; readonly onBack: () => void }): ReactNode {
  const order = useLoaded(props.orderId, () => api.adminOrder(props.orderId));
  return (
    <section className="order-detail">
      <p className="filter">
        <button type="button" onClick={props.onBack}>
          ← {m('back')}
        </button>
        <button type="button" className="plain" onClick={() => void order.reload()}>
          {m('refresh')}
        </button>
      </p>
      {order.value === null ? <Waiting of={order} /> : <DetailView order={order.value} />}
    </section>
  );
}

function DetailView({ order }: { readonly order: ShopAdminOrderDetail }): ReactNode {
  const facts = [
    [m('amount'), amountText(order.amountMinor, order.currency)],
    [m('time'), timeText(order.createdAtMs)],
    [m('gatewayOrder'), order.gatewayOrderId ?? '—'],
    [m('gatewayStatus'), word('status', order.gatewayStatus)],
    [m('payment'), order.paymentId ?? '—'],
    [m('lastOutcome'), word('outcome', order.lastAttempt?.outcome ?? null)],
    [m('card'), order.lastAttempt?.panMasked ? panText(order.lastAttempt.panMasked) : '—'],
    [m('checks'), String(order.checks)],
    [m('nextCheck'), order.nextCheckAtMs === null ? '—' : timeText(order.nextCheckAtMs)],
  ] as const;
  return (
    <>
      <div className="panel detail-head">
        <h2 className="mono">{order.orderNumber}</h2>
        <StateBadge state={order.state} />
        <dl className="facts-list">
          {facts.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd className="mono">{value}</dd>
            </div>
          ))}
        </dl>
        <ul className="plain-list">
          {order.items.map((item) => (
            <li key={item.goodsId}>
              {textOf(item.name)} × {item.quantity}
              <b>{amountText(item.priceMinor, order.currency)}</b>
            </li>
          ))}
        </ul>
      </div>
      {order.incidents.length > 0 && (
        <div className="panel incidents">
          <h3>{m('incidents')}</h3>
          <IncidentList incidents={order.incidents} />
        </div>
      )}
      <div className="panel">
        <h3>{m('notifications')}</h3>
        {order.notifications.length === 0 && <p className="quiet">{m('none')}</p>}
        <ul className="plain-list">
          {order.notifications.map((news) => (
            <li key={news.webhookId}>
              <span>
                {timeText(news.atMs)} · {m('sequence')} {news.sequence}
              </span>
              <span>
                <b>{word('outcome', news.outcome)}</b> · {m(`effect${news.effect}`)}
              </span>
            </li>
          ))}
        </ul>
      </div>
      <div className="panel">
        <h3>{m('movements')}</h3>
        <MovementTable movements={order.movements} subject="goods" />
      </div>
    </>
  );
}
