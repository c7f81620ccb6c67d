/** One thing, larger. */
import { SHOP_QUANTITY_MAX, type ShopGoods } from '@tapnpay/protocol/wire';
import { type ReactNode, useState } from 'react';
import { amountText } from '../shared/format.ts';
import { type Cart, quantityOf } from './cart.ts';
import { type Loaded, textOf, usePageTitle } from './hooks.ts';
import { Link, Stepper, Waiting } from './parts.tsx';
import { pictureUrl } from './pictures.ts';
import { t } from './texts.ts';
import { StockBadge } from './window-page.tsx';

/** Limits of the reader, in minor units: a tap without PIN, and any tap. */
const NO_PIN_MINOR = 30_000n;
const TAP_MINOR = 500_000n;

type Props = {
  readonly goodsId: string;
  readonly goods: Loaded<readonly ShopGoods[]>;
  readonly cart: Cart;
  readonly add: (goods: ShopGoods, quantity: number) => void;
};

export function GoodsPage(props: Props): ReactNode {
  const one = props.goods.value?.find(({ goodsId }) => goodsId === props.goodsId);
  if (one) return <GoodsView {...props} one={one} />;
  if (props.goods.value === null) return <Waiting of={props.goods} />;
  return <GoneView />;
}

function GoneView(): ReactNode {
  const heading = usePageTitle(t('goodsGone'));
  return (
    <div className="waiting panel">
      <h1 ref={heading} tabIndex={-1}>
        {t('goodsGone')}
      </h1>
      <Link className="button" to="/">
        {t('backToGoods')}
      </Link>
    </div>
  );
}

function GoodsView(props: Props & { readonly one: ShopGoods }): ReactNode {
  const { one, cart, add } = props;
  const [quantity, setQuantity] = useState(1);
  const name = textOf(one.name);
  const heading = usePageTitle(`${name} · ${t('shopName')}`);
  const inCart = quantityOf(cart, one.goodsId);
  const left = Math.max(0, Math.min(one.stock, SHOP_QUANTITY_MAX) - inCart);
  return (
    <article className="goods-page" data-test={`goods-${one.goodsId}`}>
      <p className="back">
        <Link to="/">← {t('backToGoods')}</Link>
      </p>
      <div className="goods-picture">
        <img src={pictureUrl(one.picture)} alt="" width="400" height="400" />
        <StockBadge stock={one.stock} />
      </div>
      <div className="goods-facts">
        <h1 ref={heading} tabIndex={-1}>
          {name}
        </h1>
        <p className="price large">{amountText(one.priceMinor, one.currency)}</p>
        <p className="description">{textOf(one.description)}</p>
        <p className="quiet">
          {one.stock === 0 ? t('soldOut') : t('inStock', { count: one.stock })}
          {inCart > 0 && ` · ${t('inCart', { count: inCart })}`}
        </p>
        <div className="buy-row">
          <Stepper
            quantity={Math.min(quantity, Math.max(left, 1))}
            min={1}
            max={Math.max(left, 1)}
            name={name}
            onChange={setQuantity}
          />
          <button
            type="button"
            className="primary"
            data-test={`add-${one.goodsId}`}
            disabled={left === 0}
            onClick={() => {
              add(one, Math.min(quantity, left));
              setQuantity(1);
            }}
          >
            {one.stock === 0 ? t('soldOut') : t('addToCart')}
            <span className="visually-hidden">{name}</span>
          </button>
        </div>
        <p className="card-hint">
          <ChipIcon />
          <span>
            <b>{t('cardHint')}</b>
            <br />
            {hintOf(BigInt(one.priceMinor) * BigInt(quantity))}
          </span>
        </p>
      </div>
    </article>
  );
}

function hintOf(amountMinor: bigint): string {
  if (amountMinor > TAP_MINOR) return t('cardHintInsert');
  return amountMinor > NO_PIN_MINOR ? t('cardHintPin') : t('cardHintTap');
}

function ChipIcon(): ReactNode {
  return (
    <svg viewBox="0 0 32 32" width="36" height="36" aria-hidden="true" className="line-icon">
      <rect x="3" y="6" width="26" height="20" rx="4" />
      <path d="M8 13h7v6H8zM19 12c2 2.5 2 5.5 0 8M23 10c3 3.5 3 8.5 0 12" />
    </svg>
  );
}
