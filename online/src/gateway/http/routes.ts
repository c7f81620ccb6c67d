/** Every route of the merchant API v1, and the sections of its documentation. */
import { MANAGED_ELEMENT_ROUTES } from '../elements/routes.ts';
import type { BothTexts } from '../errors.ts';
import { OPERATION_ROUTES } from '../operations/routes.ts';
import { SETTLEMENT_ROUTES } from '../settlement/routes.ts';
import { WEBHOOK_ROUTES } from '../webhooks/routes.ts';
import type { Route } from './route.ts';
import { ELEMENT_ROUTES } from './routes/elements.ts';
import { OPERATOR_ROUTES } from './routes/operator.ts';
import { ORDER_ROUTES } from './routes/orders.ts';

/** Sections in the order in which they are shown. */
export const TAGS: Readonly<Record<string, BothTexts>> = {
  orders: { en: 'Orders', zh: '订单' },
  payments: { en: 'Payments', zh: '支付' },
  operations: { en: 'Captures, voids, refunds', zh: '预授权完成、撤销、退款' },
  webhooks: { en: 'Notifications', zh: '通知' },
  settlement: { en: 'Settlement', zh: '清算' },
  elements: { en: 'Secure elements', zh: '安全单元' },
  operator: { en: 'Operator', zh: '运营' },
};

/** The table. */
export const ROUTES: readonly Route[] = [
  ...ORDER_ROUTES,
  ...OPERATION_ROUTES,
  ...WEBHOOK_ROUTES,
  ...SETTLEMENT_ROUTES,
  ...ELEMENT_ROUTES,
  ...MANAGED_ELEMENT_ROUTES,
  ...OPERATOR_ROUTES,
];
