/** The agent as a local service: pages, windows, the virtual reader and the secure element. */
export { ServiceError, type ServiceErrorCode } from './errors.ts';
export type { AgentLog, AgentLogRecord } from './events.ts';
export { askLocalReader, type LocalAgent, localAgent, type ReaderAnswer } from './local-agent.ts';
export { type AgentService, type AgentServiceConfig, startAgentService } from './start.ts';
