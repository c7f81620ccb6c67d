/** The online payment system (在线支付系统). */
export * from './start.ts';
