/** The frame of every page: sandbox ribbon, header, cart, and the page of the address. */
import type { ShopGoods } from '@tapnpay/protocol/wire';
import { type ReactNode, useEffect, useReducer, useState } from 'react';
import { language, setLanguage } from '../shared/i18n.ts';
import { AdminPage } from './admin/admin-page.tsx';
import { api } from './api.ts';
import { type Cart, type CartAction, cartReducer, parseCart, piecesOf } from './cart.ts';
import { CartDrawer } from './cart-drawer.tsx';
import { GoodsPage } from './goods-page.tsx';
import { type Loaded, navigate, textOf, useLanguage, useLoaded, usePath } from './hooks.ts';
import { OrderPage } from './order-page.tsx';
import { Link } from './parts.tsx';
import { RecentPage } from './recent-page.tsx';
import { CART_KEY, readStored, writeStored } from './storage.ts';
import { t } from './texts.ts';
import { WindowPage } from './window-page.tsx';

/** How long a notice stays. */
const NOTICE_MS = 3_000;

/** The cart, kept in the browser and in step with other tabs. */
function useCart(): readonly [Cart, (action: CartAction) => void] {
  const [cart, dispatch] = useReducer(cartReducer, null, () => parseCart(readStored(CART_KEY)));
  useEffect(() => writeStored(CART_KEY, JSON.stringify(cart)), [cart]);
  useEffect(() => {
    const take = (event: StorageEvent): void => {
      if (event.key === CART_KEY) dispatch({ type: 'load', cart: parseCart(event.newValue) });
    };
    addEventListener('storage', take);
    return () => removeEventListener('storage', take);
  }, []);
  return [cart, dispatch];
}

export function App(): ReactNode {
  useLanguage();
  const path = usePath();
  const goods = useLoaded('goods', api.goods);
  const [cart, dispatch] = useCart();
  const [isCartOpen, setCartOpen] = useState(false);
  const [notice, setNotice] = useState('');
  useEffect(() => {
    if (notice === '') return;
    const timer = setTimeout(() => setNotice(''), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  const add = (one: ShopGoods, quantity: number): void => {
    dispatch({ type: 'add', goodsId: one.goodsId, quantity });
    setNotice(t('added', { name: textOf(one.name) }));
  };
  const isAdmin = path.startsWith('/admin');
  return (
    <>
      <a className="skip" href="#main">
        {t('skip')}
      </a>
      <SandboxRibbon />
      <Header cart={cart} isAdmin={isAdmin} onCart={() => setCartOpen(true)} />
      <main id="main" tabIndex={-1}>
        <Page path={path} goods={goods} cart={cart} add={add} />
      </main>
      <Footer />
      {isCartOpen && (
        <CartDrawer
          cart={cart}
          goods={goods}
          dispatch={dispatch}
          onClose={() => setCartOpen(false)}
        />
      )}
      <p className={notice === '' ? 'notice' : 'notice shown'} role="status">
        {notice}
      </p>
    </>
  );
}

function Page(props: {
  readonly path: string;
  readonly goods: Loaded<readonly ShopGoods[]>;
  readonly cart: Cart;
  readonly add: (goods: ShopGoods, quantity: number) => void;
}): ReactNode {
  const { path, goods, cart, add } = props;
  const [, first = '', second = ''] = path.split('/');
  if (first === 'admin') return <AdminPage section={second} onGoodsChanged={goods.reload} />;
  if (first === 'orders' && second === '') return <RecentPage />;
  if (first === 'orders') return <OrderPage key={second} orderId={second} />;
  if (first === 'goods')
    return <GoodsPage key={second} goodsId={second} goods={goods} cart={cart} add={add} />;
  return <WindowPage goods={goods} cart={cart} add={add} />;
}

function SandboxRibbon(): ReactNode {
  return (
    <aside className="ribbon" aria-label={t('sandbox')}>
      <strong>{t('sandbox')}</strong>
      <span>{t('sandboxLine')}</span>
    </aside>
  );
}

function Header(props: {
  readonly cart: Cart;
  readonly isAdmin: boolean;
  readonly onCart: () => void;
}): ReactNode {
  const count = piecesOf(props.cart);
  return (
    <header className="top">
      <div className="top-inner">
        <Link className="brand" to="/">
          <Mark />
          <span>
            <b>{t('shopName')}</b>
            <small>{t('shopLine')}</small>
          </span>
        </Link>
        <nav aria-label={t('shopName')}>
          <Link className="nav-link" to="/">
            {t('navGoods')}
          </Link>
          <Link className="nav-link" to="/orders">
            {t('navOrders')}
          </Link>
        </nav>
        <div className="top-actions">
          <button
            type="button"
            className="plain"
            data-test="language"
            lang={language() === 'zh' ? 'en' : 'zh-CN'}
            aria-label={t('languageLabel')}
            onClick={() => setLanguage(language() === 'zh' ? 'en' : 'zh')}
          >
            {t('language')}
          </button>
          {!props.isAdmin && (
            <button type="button" className="cart-button" data-test="cart" onClick={props.onCart}>
              <BagIcon />
              <span className="cart-word">{t('cart')}</span>
              <span className={count > 0 ? 'cart-count full' : 'cart-count'}>{count}</span>
              <span className="visually-hidden">{t('cartPieces')}</span>
            </button>
          )}
        </div>
      </div>
    </header>
  );
}

function Mark(): ReactNode {
  return (
    <svg className="mark" viewBox="0 0 64 64" aria-hidden="true">
      <rect width="64" height="64" rx="18" className="mark-ground" />
      <circle cx="32" cy="29" r="13" className="mark-sun" />
      <path
        d="M8 45c8-6 16-6 24 0s16 6 24 0v9c0 3-2 5-5 5H13c-3 0-5-2-5-5z"
        className="mark-hill"
      />
    </svg>
  );
}

function BagIcon(): ReactNode {
  return (
    <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" className="line-icon">
      <path d="M5 8h14l1 12H4zM9 8V6a3 3 0 0 1 6 0v2" />
    </svg>
  );
}

function Footer(): ReactNode {
  return (
    <footer className="bottom">
      <p>{t('footerText')}</p>
      <p>
        <button type="button" className="link" onClick={() => navigate('/admin')}>
          {t('navMerchant')}
        </button>
      </p>
    </footer>
  );
}
