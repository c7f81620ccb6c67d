/** One kind of goods: everything the merchant may write, its stock, and how it got there. */
import { SHOP_STOCK_MAX, type ShopAdminGoods } from '@tapnpay/protocol/wire';
import { type FormEvent, type ReactNode, useState } from 'react';
import { ApiError, api } from '../api.ts';
import { useLoaded } from '../hooks.ts';
import { priceMinorOf, priceText } from '../money.ts';
import { ErrorText } from '../parts.tsx';
import { PICTURE_NAMES, pictureUrl } from '../pictures.ts';
import { MovementTable } from './movement-table.tsx';
import { m } from './texts.ts';

type Fields = {
  readonly goodsId: string;
  readonly nameZh: string;
  readonly nameEn: string;
  readonly descriptionZh: string;
  readonly descriptionEn: string;
  readonly price: string;
  readonly stock: string;
  readonly picture: string;
  readonly isOnSale: boolean;
};

function fieldsOf(goods: ShopAdminGoods | null): Fields {
  return {
    goodsId: goods?.goodsId ?? '',
    nameZh: goods?.name.zh ?? '',
    nameEn: goods?.name.en ?? '',
    descriptionZh: goods?.description.zh ?? '',
    descriptionEn: goods?.description.en ?? '',
    price: goods ? priceText(goods.priceMinor) : '',
    stock: '0',
    picture: goods?.picture ?? PICTURE_NAMES[0] ?? 'tea',
    isOnSale: goods?.isOnSale ?? true,
  };
}

type Props = {
  /** Null: new ones. */
  readonly goods: ShopAdminGoods | null;
  readonly onChanged: () => Promise<void>;
  readonly onClose: () => void;
};

export function GoodsForm(props: Props): ReactNode {
  const { goods, onChanged, onClose } = props;
  const [fields, setFields] = useState<Fields>(() => fieldsOf(goods));
  const [error, setError] = useState<ApiError | null>(null);
  const priceMinor = priceMinorOf(fields.price);
  const put = (change: Partial<Fields>): void => setFields({ ...fields, ...change });
  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (priceMinor === null) return;
    setError(null);
    const { goodsId, picture, isOnSale } = fields;
    const name = { zh: fields.nameZh, en: fields.nameEn };
    const description = { zh: fields.descriptionZh, en: fields.descriptionEn };
    const draft = { goodsId, name, description, priceMinor, picture, isOnSale };
    try {
      if (goods) await api.editGoods(draft, goods.version);
      else await api.createGoods({ ...draft, stock: Number(fields.stock) });
      await onChanged();
      onClose();
    } catch (thrown) {
      setError(ApiError.of(thrown));
    }
  };
  return (
    <div className="goods-form">
      <form className="panel" onSubmit={(event) => void save(event)}>
        <h2>{goods ? m('editGoods') : m('newGoods')}</h2>
        <TextFields fields={fields} put={put} isNew={goods === null} />
        <PriceField price={fields.price} isWrong={priceMinor === null} put={put} />
        {goods === null && (
          <label>
            {m('openingStock')}
            <input
              type="number"
              required
              min={0}
              max={SHOP_STOCK_MAX}
              value={fields.stock}
              onChange={(event) => put({ stock: event.target.value })}
            />
          </label>
        )}
        <PictureField picture={fields.picture} put={put} />
        <label className="check">
          <input
            type="checkbox"
            checked={fields.isOnSale}
            onChange={(event) => put({ isOnSale: event.target.checked })}
          />
          {m('onSale')}
        </label>
        <ErrorText error={error} />
        <p className="filter">
          <button type="submit" className="primary" data-test="save-goods">
            {m('save')}
          </button>
          <button type="button" onClick={onClose}>
            {m('cancel')}
          </button>
        </p>
      </form>
      {goods && <StockPart goods={goods} onChanged={onChanged} />}
    </div>
  );
}

function TextFields(props: {
  readonly fields: Fields;
  readonly put: (change: Partial<Fields>) => void;
  readonly isNew: boolean;
}): ReactNode {
  const { fields, put, isNew } = props;
  return (
    <>
      <label>
        {m('goodsId')}
        <input
          required
          maxLength={40}
          pattern="[a-z0-9][a-z0-9\-]*"
          readOnly={!isNew}
          value={fields.goodsId}
          onChange={(event) => put({ goodsId: event.target.value })}
        />
      </label>
      {(['nameZh', 'nameEn'] as const).map((key) => (
        <label key={key}>
          {m(key)}
          <input
            required
            maxLength={60}
            lang={key === 'nameZh' ? 'zh-CN' : 'en'}
            value={fields[key]}
            onChange={(event) => put({ [key]: event.target.value })}
          />
        </label>
      ))}
      {(['descriptionZh', 'descriptionEn'] as const).map((key) => (
        <label key={key} className="full">
          {m(key)}
          <textarea
            required
            rows={3}
            maxLength={400}
            lang={key === 'descriptionZh' ? 'zh-CN' : 'en'}
            value={fields[key]}
            onChange={(event) => put({ [key]: event.target.value })}
          />
        </label>
      ))}
    </>
  );
}

function PriceField(props: {
  readonly price: string;
  readonly isWrong: boolean;
  readonly put: (change: Partial<Fields>) => void;
}): ReactNode {
  const { price, isWrong, put } = props;
  const isShown = isWrong && price !== '';
  return (
    <label>
      {m('priceLabel')}
      <input
        required
        inputMode="decimal"
        maxLength={12}
        aria-invalid={isShown}
        aria-describedby={isShown ? 'price-wrong' : undefined}
        value={price}
        onChange={(event) => put({ price: event.target.value })}
      />
      {isShown && (
        <span id="price-wrong" className="error-text">
          {m('priceWrong')}
        </span>
      )}
    </label>
  );
}

function PictureField(props: {
  readonly picture: string;
  readonly put: (change: Partial<Fields>) => void;
}): ReactNode {
  return (
    <fieldset className="pictures full">
      <legend>{m('picture')}</legend>
      {PICTURE_NAMES.map((name) => (
        <label key={name} title={name}>
          <input
            type="radio"
            name="picture"
            value={name}
            checked={name === props.picture}
            onChange={() => props.put({ picture: name })}
          />
          <img src={pictureUrl(name)} alt={name} width="400" height="400" />
        </label>
      ))}
    </fieldset>
  );
}

function StockPart(props: {
  readonly goods: ShopAdminGoods;
  readonly onChanged: () => Promise<void>;
}): ReactNode {
  const { goods, onChanged } = props;
  const movements = useLoaded(`movements ${goods.goodsId}`, () => api.movements(goods.goodsId));
  const [delta, setDelta] = useState('');
  const [note, setNote] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const change = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setError(null);
    try {
      await api.changeStock(goods.goodsId, Number(delta), note);
      setDelta('');
      setNote('');
    } catch (thrown) {
      setError(ApiError.of(thrown));
    }
    await Promise.all([movements.reload(), onChanged()]);
  };
  return (
    <form className="panel stock-part" onSubmit={(event) => void change(event)}>
      <h2>{m('changeStock')}</h2>
      <p className="stock-now">
        {m('stock')} <b>{goods.stock}</b> · {m('reserved')} {goods.reserved} · {m('sold')}{' '}
        {goods.sold}
      </p>
      <label>
        {m('delta')} <small className="quiet">{m('deltaHint')}</small>
        <input
          type="number"
          required
          step={1}
          min={-goods.stock}
          max={SHOP_STOCK_MAX}
          value={delta}
          onChange={(event) => setDelta(event.target.value)}
        />
      </label>
      <label>
        {m('note')}
        <input maxLength={120} value={note} onChange={(event) => setNote(event.target.value)} />
      </label>
      <ErrorText error={error} />
      <button type="submit">{m('apply')}</button>
      <h3>{m('movements')}</h3>
      <MovementTable movements={movements.value ?? []} subject="order" />
    </form>
  );
}
