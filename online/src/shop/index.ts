/** The merchant back end (商户后台): goods, stock, orders, and what the gateway says about them. */
export type { ShopConfig } from './config.ts';
export { type RunningShop, startShop } from './start.ts';
