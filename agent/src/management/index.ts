/** Management of GlobalPlatform cards: the one in the own element, and cards in readers. */
export { bornCard, ElementCardTransport, elementAtr, managedCard } from './element-card.ts';
export { type CardLook, highestLevel, matchingKeys } from './keys-of-card.ts';
export {
  type ApduTransport,
  CardManager,
  type ChannelRequest,
  lookAtCard,
  runSteps,
  type Steps,
} from './manager.ts';
export {
  type CardObjects,
  type CardRegistry,
  deleteCommands,
  installCommands,
  lockCommands,
  type NamedCommand,
  type PackageInstallation,
  type RotationRequest,
  readCardObjects,
  readWholeRegistry,
  rotateKeys,
  rotationRequest,
} from './operations.ts';
export { dryRun, type ScriptLine } from './script.ts';
