/** What the extension's own pages share with its worker. */
export { after, type Browser, type Port } from './api.ts';
export {
  type LastPayment,
  WINDOW_PORT,
  type WindowPortAnswer,
  type WindowPortMessage,
} from './ports.ts';
export { type HostFrame, NativeLink } from './worker/native-link.ts';
