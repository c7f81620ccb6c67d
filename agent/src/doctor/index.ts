/** The doctor: what the host sees of its links, and what the command sees of the browsers'. */
export {
  type CheckedBrowser,
  checkExtension,
  checkPolicy,
  checkRegistration,
  type Packaging,
  type Registration,
} from './browser-checks.ts';
export { checkElement, type SeenElement } from './element-check.ts';
export { checkGateway, checkVersions, type SeenVersions, seeVersions } from './gateway-checks.ts';
export {
  checkOf,
  elementAt,
  elementOfService,
  type HostDoctorPorts,
  runHostDoctor,
} from './host-doctor.ts';
export { type HostProbe, type ProbedHost, probeHost } from './probe-host.ts';
export { checkReaderService, checkReaders } from './reader-checks.ts';
export { type HostSight, type HttpAnswer, thisSight } from './sight.ts';
