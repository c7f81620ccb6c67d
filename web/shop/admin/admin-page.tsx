/** The merchant's pages: login, numbers, orders, goods. */
import type { ShopSummary } from '@tapnpay/protocol/wire';
import { type FormEvent, type ReactNode, useState } from 'react';
import { amountText, timeText } from '../../shared/format.ts';
import { ApiError, api } from '../api.ts';
import { type Loaded, useLoaded, usePageTitle } from '../hooks.ts';
import { ErrorText, Link, Waiting } from '../parts.tsx';
import { GoodsSection } from './goods-section.tsx';
import { OrdersSection } from './orders-section.tsx';
import { m } from './texts.ts';

export function AdminPage(props: {
  readonly section: string;
  readonly onGoodsChanged: () => Promise<void>;
}): ReactNode {
  const summary = useLoaded('summary', api.summary);
  if (summary.error?.code === 'ERR_LOGIN_NEEDED') return <LoginForm onLogin={summary.reload} />;
  if (summary.value === null) return <Waiting of={summary} />;
  return <Desk {...props} summary={summary} numbers={summary.value} />;
}

function LoginForm(props: { readonly onLogin: () => Promise<void> }): ReactNode {
  const heading = usePageTitle(m('title'));
  const [password, setPassword] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const login = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setError(null);
    try {
      await api.login(password);
      await props.onLogin();
    } catch (thrown) {
      setError(ApiError.of(thrown));
    }
  };
  return (
    <form className="login panel" onSubmit={(event) => void login(event)}>
      <h1 ref={heading} tabIndex={-1}>
        {m('title')}
      </h1>
      <p className="quiet">{m('loginText')}</p>
      <label>
        {m('password')}
        <input
          type="password"
          autoComplete="current-password"
          required
          data-test="admin-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
      </label>
      <ErrorText error={error} />
      <button type="submit" className="primary wide" data-test="admin-login">
        {m('login')}
      </button>
    </form>
  );
}

function Desk(props: {
  readonly section: string;
  readonly onGoodsChanged: () => Promise<void>;
  readonly summary: Loaded<ShopSummary>;
  readonly numbers: ShopSummary;
}): ReactNode {
  const { section, summary, numbers } = props;
  const heading = usePageTitle(m('title'));
  const logout = async (): Promise<void> => {
    await api.logout().catch(() => undefined);
    await summary.reload();
  };
  const isGoods = section === 'goods';
  return (
    <div className="desk">
      <header>
        <h1 ref={heading} tabIndex={-1}>
          {m('title')}
        </h1>
        <nav className="tabs" aria-label={m('title')}>
          <Link className="nav-link" to="/admin">
            {m('orders')}
          </Link>
          <Link className="nav-link" to="/admin/goods">
            {m('goods')}
          </Link>
        </nav>
        <button
          type="button"
          className="plain"
          data-test="admin-logout"
          onClick={() => void logout()}
        >
          {m('logout')}
        </button>
      </header>
      <Numbers numbers={numbers} />
      {isGoods ? (
        <GoodsSection onChanged={props.onGoodsChanged} />
      ) : (
        <OrdersSection onRefresh={summary.reload} />
      )}
    </div>
  );
}

function Numbers({ numbers }: { readonly numbers: ShopSummary }): ReactNode {
  const { orders, incidents } = numbers;
  const tiles = [
    [m('paidSum'), amountText(numbers.paidMinor, numbers.currency), 'good'],
    [m('ordersPaid'), orders.paid, ''],
    [m('ordersOpen'), orders.awaitingPayment + orders.placing, ''],
    [m('ordersUnknown'), orders.unknownPayment, orders.unknownPayment > 0 ? 'wait' : ''],
    [m('incidents'), incidents.length, incidents.length > 0 ? 'bad' : ''],
  ] as const;
  return (
    <>
      <dl className="tiles">
        {tiles.map(([label, value, tone]) => (
          <div key={label} className={`panel ${tone}`}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {incidents.length > 0 && (
        <details className="panel incidents">
          <summary>{m('incidents')}</summary>
          <IncidentList incidents={incidents} />
        </details>
      )}
    </>
  );
}

/** Incidents with their facts. */
export function IncidentList(props: { readonly incidents: ShopSummary['incidents'] }): ReactNode {
  return (
    <ul>
      {props.incidents.map((incident) => (
        <li key={incident.incidentId}>
          <b className="mono">{incident.code}</b> {timeText(incident.atMs)}{' '}
          <span className="mono">{incident.orderNumber ?? ''}</span>
          <br />
          <span className="mono quiet">
            {Object.entries(incident.facts)
              .map(([name, value]) => `${name}=${value}`)
              .join(' · ')}
          </span>
        </li>
      ))}
    </ul>
  );
}
