/** The shop window: all goods with pictures. */
import type { ShopGoods } from '@tapnpay/protocol/wire';
import type { ReactNode } from 'react';
import { amountText } from '../shared/format.ts';
import { type Cart, quantityOf } from './cart.ts';
import { type Loaded, textOf, usePageTitle } from './hooks.ts';
import { Link, Waiting } from './parts.tsx';
import { HERO, pictureUrl } from './pictures.ts';
import { t } from './texts.ts';

/** Below this many pieces the page says how few are left. */
const FEW = 5;

export function WindowPage(props: {
  readonly goods: Loaded<readonly ShopGoods[]>;
  readonly cart: Cart;
  readonly add: (goods: ShopGoods, quantity: number) => void;
}): ReactNode {
  const { goods, cart, add } = props;
  const heading = usePageTitle(t('shopName'));
  return (
    <>
      <section className="hero">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {t('heroTitle')}
          </h1>
          <p>{t('heroText')}</p>
          <a className="button primary" href="#goods">
            {t('heroButton')}
          </a>
        </div>
        <img src={HERO} alt="" width="720" height="460" />
      </section>
      <ul className="facts">
        <li>
          <b>{t('factChip')}</b>
          <span>{t('factChipText')}</span>
        </li>
        <li>
          <b>{t('factTap')}</b>
          <span>{t('factTapText')}</span>
        </li>
        <li>
          <b>{t('factTruth')}</b>
          <span>{t('factTruthText')}</span>
        </li>
      </ul>
      <section id="goods" aria-labelledby="goods-title" tabIndex={-1}>
        <div className="section-head">
          <h2 id="goods-title">{t('goodsTitle')}</h2>
          {goods.value && <p className="quiet">{t('goodsCount', { count: goods.value.length })}</p>}
        </div>
        {goods.value === null && <Waiting of={goods} />}
        <ul className="grid">
          {goods.value?.map((one) => (
            <GoodsCard
              key={one.goodsId}
              goods={one}
              inCart={quantityOf(cart, one.goodsId)}
              onAdd={() => add(one, 1)}
            />
          ))}
        </ul>
      </section>
    </>
  );
}

function GoodsCard(props: {
  readonly goods: ShopGoods;
  readonly inCart: number;
  readonly onAdd: () => void;
}): ReactNode {
  const { goods, inCart, onAdd } = props;
  const name = textOf(goods.name);
  return (
    <li className="card" data-test={`goods-${goods.goodsId}`}>
      <div className="card-picture">
        <img src={pictureUrl(goods.picture)} alt="" width="400" height="400" loading="lazy" />
        <StockBadge stock={goods.stock} />
      </div>
      <div className="card-text">
        <h3>
          <Link className="card-link" to={`/goods/${goods.goodsId}`}>
            {name}
          </Link>
        </h3>
        <p className="quiet">{textOf(goods.description)}</p>
      </div>
      <div className="card-buy">
        <span className="price">{amountText(goods.priceMinor, goods.currency)}</span>
        <button
          type="button"
          className="primary"
          data-test={`add-${goods.goodsId}`}
          disabled={goods.stock <= inCart}
          onClick={onAdd}
        >
          {goods.stock === 0 ? t('soldOut') : t('addToCart')}
          <span className="visually-hidden">{name}</span>
        </button>
      </div>
    </li>
  );
}

/** Says so when few or none are left. */
export function StockBadge(props: { readonly stock: number }): ReactNode {
  if (props.stock > FEW) return null;
  if (props.stock === 0) return <span className="badge stock out">{t('soldOut')}</span>;
  return <span className="badge stock">{t('fewLeft', { count: props.stock })}</span>;
}
