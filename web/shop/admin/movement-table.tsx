/** Changes of stock, of one order or of one kind of goods. */
import type { ShopStockMovement } from '@tapnpay/protocol/wire';
import type { ReactNode } from 'react';
import { timeText } from '../../shared/format.ts';
import { m } from './texts.ts';

export function MovementTable(props: {
  readonly movements: readonly ShopStockMovement[];
  /** What tells the lines apart. */
  readonly subject: 'goods' | 'order';
}): ReactNode {
  const { movements, subject } = props;
  const head = subject === 'goods' ? m('goods') : m('number');
  return (
    <div className="table-frame">
      <table className="data">
        <thead>
          <tr>
            <th scope="col">{m('time')}</th>
            <th scope="col">{m('kind')}</th>
            <th scope="col">{head}</th>
            <th scope="col" className="right">
              {m('delta')}
            </th>
            <th scope="col" className="right">
              {m('stockAfter')}
            </th>
          </tr>
        </thead>
        <tbody>
          {movements.map((movement) => (
            <tr key={movement.movementId}>
              <td data-label={m('time')}>{timeText(movement.atMs)}</td>
              <td data-label={m('kind')}>{m(`kind${movement.kind}`)}</td>
              <td data-label={head} className="mono">
                {subject === 'goods' ? movement.goodsId : (movement.orderNumber ?? movement.note)}
              </td>
              <td data-label={m('delta')} className="right">
                {movement.delta > 0 ? `+${movement.delta}` : movement.delta}
              </td>
              <td data-label={m('stockAfter')} className="right">
                {movement.stockAfter}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
