/** Virtual cards for every PC/SC program, through vpcd. */
export {
  insertIntoVpcd,
  listenForVpcd,
  type OfferedCard,
  VPCD_PORT,
  type VpcdAddress,
  type VpcdEvents,
  type VpcdServer,
} from './offer.ts';
export { hasQuickRoute, QUICK_ROUTE_COMMAND, QUICK_VPCD_HOST } from './quick-route.ts';
