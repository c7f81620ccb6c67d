/** The program on the laptop: secure element, virtual cards, payments and enrolment. */
export * from './apdu-trace.ts';
export * from './card-faults.ts';
export * from './doctor/index.ts';
export * from './element-process.ts';
export * from './enrolment.ts';
export * from './errors.ts';
export * from './install/index.ts';
export * from './native/index.ts';
export * from './own-bureau.ts';
export * from './payment.ts';
export * from './pcsc/index.ts';
export * from './readers/index.ts';
export * from './record-relay.ts';
export * from './recording.ts';
export * from './service/index.ts';
export * from './virtual-cards.ts';
export * from './vpcd/index.ts';
