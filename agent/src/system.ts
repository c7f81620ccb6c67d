/** The system's own ciphers, clock and randomness: the only place where the agent takes them. */
export { nodeCiphers, systemClock, systemRandom } from '@tapnpay/protocol/node';
