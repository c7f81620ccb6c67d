/** Installing the native messaging host and the extension, as the command sees it. */
export { InstallError, type InstallErrorCode } from './errors.ts';
export { findExtensions, type InstalledExtension } from './extension.ts';
export {
  type InstalledPart,
  type InstallRequest,
  type InstallTarget,
  installHost,
} from './install.ts';
export { extensionOrigin, MANIFEST_FILE, type WantedHost } from './manifest.ts';
export {
  type BrowserKind,
  type BrowserPlaces,
  browserPlaces,
  type InstallScope,
  type PlaceFacts,
  profileFolder,
} from './places.ts';
export { seePolicy } from './policy.ts';
export { type InstallRecord, readRecord } from './record.ts';
export { hostKey, registryLine } from './registry.ts';
export { type RemovedPart, type UninstallRequest, uninstallHost } from './uninstall.ts';
export { wrapperPath } from './wrapper.ts';
