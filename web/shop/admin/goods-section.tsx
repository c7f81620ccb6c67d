/** The merchant's goods: list, on and off sale, form, stock. */
import type { ShopAdminGoods } from '@tapnpay/protocol/wire';
import { type ReactNode, useState } from 'react';
import { amountText } from '../../shared/format.ts';
import { ApiError, api } from '../api.ts';
import { textOf, useLoaded } from '../hooks.ts';
import { ErrorText, Waiting } from '../parts.tsx';
import { pictureUrl } from '../pictures.ts';
import { GoodsForm } from './goods-form.tsx';
import { m } from './texts.ts';

export function GoodsSection(props: { readonly onChanged: () => Promise<void> }): ReactNode {
  const goods = useLoaded('admin-goods', api.adminGoods);
  const [edited, setEdited] = useState<string | 'new' | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const changed = async (): Promise<void> => {
    await Promise.all([goods.reload(), props.onChanged()]);
  };
  const toggle = async (one: ShopAdminGoods): Promise<void> => {
    setError(null);
    const { goodsId, name, description, priceMinor, picture, version } = one;
    const draft = { goodsId, name, description, priceMinor, picture, isOnSale: !one.isOnSale };
    try {
      await api.editGoods(draft, version);
    } catch (thrown) {
      setError(ApiError.of(thrown));
    }
    await changed();
  };
  if (goods.value === null) return <Waiting of={goods} />;
  if (edited !== null) {
    const one = goods.value.find(({ goodsId }) => goodsId === edited) ?? null;
    return <GoodsForm goods={one} onChanged={changed} onClose={() => setEdited(null)} />;
  }
  return (
    <section aria-labelledby="goods-title">
      <h2 id="goods-title" className="visually-hidden">
        {m('goods')}
      </h2>
      <p className="filter">
        <button
          type="button"
          className="primary"
          data-test="new-goods"
          onClick={() => setEdited('new')}
        >
          {m('newGoods')}
        </button>
        <button type="button" className="plain" onClick={() => void goods.reload()}>
          {m('refresh')}
        </button>
      </p>
      <ErrorText error={error} />
      <GoodsTable goods={goods.value} onEdit={setEdited} onToggle={(one) => void toggle(one)} />
    </section>
  );
}

function GoodsTable(props: {
  readonly goods: readonly ShopAdminGoods[];
  readonly onEdit: (goodsId: string) => void;
  readonly onToggle: (goods: ShopAdminGoods) => void;
}): ReactNode {
  return (
    <div className="panel table-frame">
      <table className="data" data-test="admin-goods">
        <thead>
          <tr>
            <th scope="col">{m('goods')}</th>
            <th scope="col" className="right">
              {m('price')}
            </th>
            <th scope="col" className="right">
              {m('stock')}
            </th>
            <th scope="col" className="right">
              {m('reserved')}
            </th>
            <th scope="col" className="right">
              {m('sold')}
            </th>
            <th scope="col">{m('state')}</th>
            <th scope="col">{m('actions')}</th>
          </tr>
        </thead>
        <tbody>
          {props.goods.map((one) => (
            <GoodsRow
              key={one.goodsId}
              goods={one}
              onEdit={props.onEdit}
              onToggle={props.onToggle}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function GoodsRow(props: {
  readonly goods: ShopAdminGoods;
  readonly onEdit: (goodsId: string) => void;
  readonly onToggle: (goods: ShopAdminGoods) => void;
}): ReactNode {
  const { goods, onEdit, onToggle } = props;
  const name = textOf(goods.name);
  return (
    <tr>
      <td data-label={m('goods')}>
        <span className="goods-cell">
          <img src={pictureUrl(goods.picture)} alt="" width="400" height="400" />
          <span>
            <b>{name}</b>
            <br />
            <small className="mono quiet">{goods.goodsId}</small>
          </span>
        </span>
      </td>
      <td data-label={m('price')} className="right">
        {amountText(goods.priceMinor, goods.currency)}
      </td>
      <td data-label={m('stock')} className="right">
        <b>{goods.stock}</b>
      </td>
      <td data-label={m('reserved')} className="right">
        {goods.reserved}
      </td>
      <td data-label={m('sold')} className="right">
        {goods.sold}
      </td>
      <td data-label={m('state')}>
        <span className={`badge state-badge ${goods.isOnSale ? 'paid' : 'cancelled'}`}>
          {goods.isOnSale ? m('shownOn') : m('shownOff')}
        </span>
      </td>
      <td data-label={m('actions')}>
        <span className="row-actions">
          <button
            type="button"
            aria-label={`${m('edit')} ${name}`}
            onClick={() => onEdit(goods.goodsId)}
          >
            {m('edit')}
          </button>
          <button
            type="button"
            aria-label={`${goods.isOnSale ? m('takeOff') : m('putOn')} ${name}`}
            onClick={() => onToggle(goods)}
          >
            {goods.isOnSale ? m('takeOff') : m('putOn')}
          </button>
        </span>
      </td>
    </tr>
  );
}
