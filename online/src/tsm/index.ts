/** The trusted service manager: elements, their keys and applications, and who may have which. */
export { openApiDocument as tsmOpenApiDocument } from './http/openapi.ts';
export { LOYALTY_APPLICATION, PAYMENT_APPLICATION } from './lab.ts';
export type {
  Application,
  ApplicationVersion,
  Element,
  JobKind,
  TsmRole,
} from './model.ts';
export type { PersonalisationGrouping, PersonalisationSource } from './ports.ts';
export {
  type RunningTsm,
  readTsmKeys,
  startTsm,
  TSM_KEYS_FILE,
  type TsmConfig,
  type TsmKeys,
} from './start.ts';
