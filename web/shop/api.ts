/** The shop's server as the pages call it; every refusal is an `ApiError` with two texts. */
import type {
  ShopAdminGoods,
  ShopAdminOrder,
  ShopAdminOrderDetail,
  ShopCheckout,
  ShopErrorBody,
  ShopGoods,
  ShopGoodsDraft,
  ShopOrderState,
  ShopOrderView,
  ShopPlaced,
  ShopStockMovement,
  ShopSummary,
} from '@tapnpay/protocol/wire';
import { SHOP_ADMIN_PATH, SHOP_GOODS_PATH, SHOP_ORDERS_PATH } from '@tapnpay/protocol/wire';
import { language } from '../shared/i18n.ts';
import { TEXTS } from './texts.ts';

const TIMEOUT_MS = 15_000;

/** A refusal of the server, or `ERR_OFFLINE` when there was no answer. */
export class ApiError extends Error {
  readonly body: ShopErrorBody;

  constructor(body: ShopErrorBody) {
    super(body.message);
    this.body = body;
  }

  /** Anything thrown as an error that can be shown. */
  static of(thrown: unknown): ApiError {
    if (thrown instanceof ApiError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new ApiError({ code: 'ERR_OFFLINE', message, data: {}, texts: TEXTS.offline });
  }

  get code(): string {
    return this.body.code;
  }

  /** For people, in the language of now. */
  text(): string {
    return this.body.texts[language()];
  }
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (response.status === 204) return undefined as T;
  const value: unknown = await response.json();
  if (response.ok) return value as T;
  throw new ApiError(value as ShopErrorBody);
}

const id = encodeURIComponent;

/** The interface, one function a route. */
export const api = {
  goods: async (): Promise<readonly ShopGoods[]> =>
    (await ask<{ goods: readonly ShopGoods[] }>('GET', SHOP_GOODS_PATH)).goods,
  checkout: (checkout: ShopCheckout): Promise<ShopPlaced> =>
    ask('POST', SHOP_ORDERS_PATH, checkout),
  order: (orderId: string): Promise<ShopOrderView> =>
    ask('GET', `${SHOP_ORDERS_PATH}/${id(orderId)}`),
  cancel: (orderId: string): Promise<ShopOrderView> =>
    ask('POST', `${SHOP_ORDERS_PATH}/${id(orderId)}/cancel`),
  login: (password: string): Promise<void> => ask('POST', `${SHOP_ADMIN_PATH}/login`, { password }),
  logout: (): Promise<void> => ask('POST', `${SHOP_ADMIN_PATH}/logout`),
  summary: (): Promise<ShopSummary> => ask('GET', `${SHOP_ADMIN_PATH}/summary`),
  adminGoods: async (): Promise<readonly ShopAdminGoods[]> =>
    (await ask<{ goods: readonly ShopAdminGoods[] }>('GET', `${SHOP_ADMIN_PATH}/goods`)).goods,
  createGoods: (draft: ShopGoodsDraft & { readonly stock: number }): Promise<ShopAdminGoods> =>
    ask('POST', `${SHOP_ADMIN_PATH}/goods`, draft),
  editGoods: ({ goodsId, ...draft }: ShopGoodsDraft, version: number): Promise<ShopAdminGoods> =>
    ask('PUT', `${SHOP_ADMIN_PATH}/goods/${id(goodsId)}`, { ...draft, version }),
  changeStock: (goodsId: string, delta: number, note: string): Promise<ShopAdminGoods> =>
    ask('POST', `${SHOP_ADMIN_PATH}/goods/${id(goodsId)}/stock`, { delta, note }),
  movements: async (goodsId: string): Promise<readonly ShopStockMovement[]> =>
    (
      await ask<{ movements: readonly ShopStockMovement[] }>(
        'GET',
        `${SHOP_ADMIN_PATH}/goods/${id(goodsId)}/movements`,
      )
    ).movements,
  adminOrders: (query: {
    readonly state: ShopOrderState | '';
    readonly search: string;
    readonly beforeMs: number | null;
  }): Promise<{ readonly orders: readonly ShopAdminOrder[]; readonly isMore: boolean }> => {
    const parameters = new URLSearchParams();
    if (query.state !== '') parameters.set('state', query.state);
    if (query.search !== '') parameters.set('search', query.search);
    if (query.beforeMs !== null) parameters.set('beforeMs', String(query.beforeMs));
    return ask('GET', `${SHOP_ADMIN_PATH}/orders?${parameters}`);
  },
  adminOrder: (orderId: string): Promise<ShopAdminOrderDetail> =>
    ask('GET', `${SHOP_ADMIN_PATH}/orders/${id(orderId)}`),
};
