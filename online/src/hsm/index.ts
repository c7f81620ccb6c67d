/** A party's HSM: its command executor, its server, the key ceremony and the lab's cards. */
export * from './cards.ts';
export * from './ceremony.ts';
export {
  closeHsmContext,
  createHsmContext,
  type HsmContext,
  type InitialKeyLedger,
} from './context.ts';
export * from './driver.ts';
export { formElementKeys, runElementCeremony } from './element-ceremony.ts';
export { EmbeddedDriver } from './embedded.ts';
export * from './errors.ts';
export {
  executeBatch,
  executeForeign,
  executeHsmCommand,
  type HsmDevice,
  inProcessHsm,
} from './execute.ts';
export { personaliseModel } from './new-card.ts';
export { CALLERS_OF_PARTY, LAB_LABEL } from './profile.ts';
export { memoryRsaVault, type RsaVault, type SandboxAuthority } from './rsa-vault.ts';
export * from './server.ts';
export type { HsmTokens } from './session.ts';
export { memorySigningVault, type SigningVault } from './signing-vault.ts';
export { hsmFolder, readHsmTokens } from './store.ts';
