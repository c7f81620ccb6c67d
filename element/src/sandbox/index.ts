/** The sandbox that applets run in. */
export { SandboxError, type SandboxErrorCode } from './errors.ts';
export {
  type ConversationEnd,
  createSandboxRunner,
  LIVE_APPLETS_MAX,
  type SandboxPorts,
  type SandboxRunner,
} from './runner.ts';
