/** The one door of the servers to the system's clock and random source. */
export { nodeCiphers, systemClock, systemRandom } from '@tapnpay/protocol/node';
