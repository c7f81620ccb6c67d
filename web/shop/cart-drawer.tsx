/** The cart, and the way out of it to the pay page. */
import { SHOP_QUANTITY_MAX, type ShopGoods } from '@tapnpay/protocol/wire';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { amountText } from '../shared/format.ts';
import { ApiError } from './api.ts';
import { type Cart, type CartAction, type ShownLine, shownCart } from './cart.ts';
import { isWebAddress, orderCart } from './checkout.ts';
import { type Loaded, navigate, textOf } from './hooks.ts';
import { ErrorText, Stepper } from './parts.tsx';
import { pictureUrl } from './pictures.ts';
import { t } from './texts.ts';

/** ISO 4217 number of the yuan. */
const CNY = '156';

type Props = {
  readonly cart: Cart;
  readonly goods: Loaded<readonly ShopGoods[]>;
  readonly dispatch: (action: CartAction) => void;
  readonly onClose: () => void;
};

export function CartDrawer(props: Props): ReactNode {
  const { cart, goods, dispatch, onClose } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const { reload } = goods;
  useEffect(() => {
    // A click beside it closes it, as Escape does.
    dialog.current?.setAttribute('closedby', 'any');
    if (dialog.current?.open === false) dialog.current.showModal();
    // Stock and prices of this moment.
    void reload();
  }, [reload]);
  const shown = shownCart(cart, goods.value ?? []);
  return (
    <dialog ref={dialog} className="drawer" aria-labelledby="cart-title" onClose={onClose}>
      <div className="drawer-inner">
        <header>
          <h2 id="cart-title">{t('cart')}</h2>
          <span className="badge sandbox-badge">{t('sandbox')}</span>
          <button type="button" className="plain" onClick={() => dialog.current?.close()}>
            {t('close')}
          </button>
        </header>
        {shown.lines.length === 0 ? (
          <div className="cart-empty">
            <p>
              <b>{t('cartEmpty')}</b>
            </p>
            <p className="quiet">{t('cartEmptyText')}</p>
          </div>
        ) : (
          <ul className="cart-lines">
            {shown.lines.map((line) => (
              <Line key={line.goods.goodsId} line={line} dispatch={dispatch} />
            ))}
          </ul>
        )}
        {shown.lines.length > 0 && <CheckoutPart {...props} shown={shown} />}
      </div>
    </dialog>
  );
}

function Line(props: {
  readonly line: ShownLine;
  readonly dispatch: (action: CartAction) => void;
}): ReactNode {
  const { goods, quantity, sumMinor, isShort } = props.line;
  const { goodsId, currency } = goods;
  const name = textOf(goods.name);
  const set = (wanted: number): void => props.dispatch({ type: 'set', goodsId, quantity: wanted });
  return (
    <li>
      <img src={pictureUrl(goods.picture)} alt="" width="400" height="400" />
      <div className="line-text">
        <b>{name}</b>
        <span className="quiet">{amountText(goods.priceMinor, currency)}</span>
        {isShort && <span className="error-text">{t('shortLine', { count: goods.stock })}</span>}
        <div className="line-row">
          <Stepper
            quantity={quantity}
            min={1}
            max={Math.min(goods.stock, SHOP_QUANTITY_MAX)}
            name={name}
            onChange={set}
          />
          <button
            type="button"
            className="link"
            aria-label={t('removeLabel', { name })}
            onClick={() => set(0)}
          >
            {t('remove')}
          </button>
        </div>
      </div>
      <b className="line-sum">{amountText(sumMinor, currency)}</b>
    </li>
  );
}

function CheckoutPart(props: Props & { readonly shown: ReturnType<typeof shownCart> }): ReactNode {
  const { cart, goods, dispatch, onClose, shown } = props;
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const order = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const lines = shown.lines.map(({ goods: { goodsId }, quantity }) => ({ goodsId, quantity }));
      const placed = await orderCart({ ...cart, lines }, dispatch);
      if (placed.payUrl !== null && isWebAddress(placed.payUrl)) {
        // The way back leads to the order, not to a cart that is empty now.
        history.pushState(null, '', `/orders/${placed.orderId}`);
        location.assign(placed.payUrl);
        return;
      }
      onClose();
      navigate(`/orders/${placed.orderId}`);
    } catch (thrown) {
      setError(ApiError.of(thrown));
      setBusy(false);
      void goods.reload();
    }
  };
  const orderId = error?.body.data['orderId'];
  return (
    <footer>
      <p className="total">
        <span>{t('total')}</span>
        <b>{amountText(shown.totalMinor, CNY)}</b>
      </p>
      <ErrorText error={error} />
      {typeof orderId === 'string' && (
        <button
          type="button"
          className="link"
          onClick={() => {
            onClose();
            navigate(`/orders/${orderId}`);
          }}
        >
          {t('seeOrder')}
        </button>
      )}
      <button
        type="button"
        className="primary wide"
        data-test="checkout"
        disabled={isBusy || !shown.canOrder}
        onClick={() => void order()}
      >
        {isBusy ? t('checkingOut') : t('checkout')}
      </button>
      <p className="quiet small">{t('checkoutNote')}</p>
    </footer>
  );
}
