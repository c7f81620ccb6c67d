/**
 * Parameter management (参数管理): the gateway's parameter sets as the kernel's profile. A set is
 * taken when the parameter-update key signed it, it is in its term and no older one; it is kept by
 * the element and used from the next card on.
 */
import { currencyExponent, fromHex, TapError } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { type TerminalProfile, terminalProfileOf } from '@tapnpay/protocol/emv/terminal';
import {
  type ApplicationContext,
  type HostConversation,
  type ParameterSet,
  type ParameterVersions,
  readParameterSet,
  type SignedParameterSet,
  utf8ToBytes,
} from '@tapnpay/protocol/wire';
import { GATEWAY_TIMEOUT_MS, type GatewayConversation } from './communication.ts';
import { AppletError } from './errors.ts';
import { ask } from './host.ts';

/** RID of UnionPay, under which the sandbox CA lives. */
const RID_UNIONPAY = 'A000000333';
/** First key index of the sandbox CA. No card of a real bank chains to it. */
const SANDBOX_CA_INDEX_MIN = 0xf0;
/** Characters of 9F1E. */
const SERIAL_NUMBER_CHARACTERS = 8;

/** The parameters of one conversation; they may become newer in its course. */
export class ManagedParameters {
  readonly #context: ApplicationContext<CipherProvider>;
  readonly #gateway: GatewayConversation | null;
  readonly #timeMs: number;
  #set: ParameterSet;

  private constructor(facts: {
    readonly context: ApplicationContext<CipherProvider>;
    readonly gateway: GatewayConversation | null;
    readonly timeMs: number;
    readonly set: ParameterSet;
  }) {
    this.#context = facts.context;
    this.#gateway = facts.gateway;
    this.#timeMs = facts.timeMs;
    this.#set = facts.set;
  }

  /**
   * What the element keeps, made new if the gateway has newer. The gateway's time decides, for a
   * laptop's clock is anybody's.
   * @throws AppletError `ERR_PARAMETERS`, `ERR_PARAMETERS_ROLLBACK`, `PARAMS_OUTDATED`.
   */
  static *open(
    context: ApplicationContext<CipherProvider>,
    gateway: GatewayConversation,
    welcome: { readonly timeMs: number; readonly parameters: ParameterVersions },
  ): HostConversation<ManagedParameters> {
    const { timeMs, parameters } = welcome;
    const set = yield* verifiedSet(context.parameters);
    const managed = new ManagedParameters({ context, gateway, timeMs, set });
    if (parameters.newest > set.version) yield* managed.update();
    managed.#assertInForce(parameters.minimum);
    return managed;
  }

  /**
   * What the element keeps, where no gateway is asked: the element's own clock decides.
   * @throws AppletError `ERR_PARAMETERS`, `PARAMS_OUTDATED`.
   */
  static *kept(
    context: ApplicationContext<CipherProvider>,
    timeMs: number,
  ): HostConversation<ManagedParameters> {
    const set = yield* verifiedSet(context.parameters);
    const managed = new ManagedParameters({ context, gateway: null, timeMs, set });
    managed.#assertInForce(0);
    return managed;
  }

  get version(): number {
    return this.#set.version;
  }

  /** Fetches the newest set, checks it and has it kept. @throws AppletError as `open`. */
  *update(): HostConversation<void> {
    const gateway = this.#gateway;
    if (gateway === null) throw new AppletError('PARAMS_OUTDATED', 'there is no gateway to ask');
    yield* gateway.send({ type: 'parametersRequest' });
    const { set: signed } = yield* gateway.expect('parameters', GATEWAY_TIMEOUT_MS);
    const set = yield* verifiedSet(signed);
    if (set.version <= this.#set.version) {
      const facts = { version: set.version, kept: this.#set.version };
      throw new AppletError('ERR_PARAMETERS_ROLLBACK', 'an older set than the one kept', facts);
    }
    if (!isInTerm(set, this.#timeMs)) {
      throw wrongSet(`version ${set.version} is not in its term`);
    }
    yield* ask({ call: 'storeParameters', set: signed });
    this.#set = set;
  }

  #assertInForce(minimum: number): void {
    const { version } = this.#set;
    if (version >= minimum && isInTerm(this.#set, this.#timeMs)) return;
    const message = `version ${version} of the parameters is out of date, and none is newer`;
    throw new AppletError('PARAMS_OUTDATED', message, { version, minimum });
  }

  /**
   * The acceptor for one order's currency and day.
   * @throws KernelError `ERR_KERNEL_PROFILE`, `ERR_KERNEL_CA_KEY`.
   */
  terminalProfile(order: {
    readonly currency: string;
    readonly dateYymmdd: string;
  }): TerminalProfile {
    const { ciphers, elementId } = this.#context;
    const { currency, dateYymmdd: today } = order;
    const { aids, caPublicKeys, ...rest } = this.#set;
    const parameters = {
      ...rest,
      aids: aids.filter((aid) => aid.fromYymmdd <= today && today <= aid.untilYymmdd),
      // A key's end is the kernel's to judge: it is said in the TVR. @see EMV 4.3 B2 §11.3.1
      caPublicKeys: caPublicKeys.filter(({ fromYymmdd }) => fromYymmdd <= today),
    };
    return terminalProfileOf(parameters, {
      ciphers,
      currency,
      currencyExponent: currencyExponent(currency),
      interfaceDeviceSerialNumber: elementId.slice(-SERIAL_NUMBER_CHARACTERS).padStart(8, '0'),
    });
  }

  /** Which parts of a cryptogram are in a dynamic token. */
  get issuerProprietaryBitmap(): Uint8Array {
    return fromHex(this.#set.token.issuerProprietaryBitmap);
  }
}

/** A set that was signed and is understood as a whole. @throws AppletError `ERR_PARAMETERS`. */
function* verifiedSet(signed: SignedParameterSet): HostConversation<ParameterSet> {
  const isSigned = yield* ask({
    call: 'verifySignature',
    key: 'parameters',
    data: utf8ToBytes(signed.body),
    signature: fromHex(signed.signature),
  });
  if (!isSigned) throw wrongSet('the set is not signed by the parameter-update key');
  try {
    return readParameterSet(signed.body);
  } catch (fault) {
    if (!(fault instanceof TapError)) throw fault;
    throw wrongSet(fault.message, fault);
  }
}

function isInTerm(set: ParameterSet, nowMs: number): boolean {
  return set.validFromMs <= nowMs && nowMs < set.validUntilMs;
}

function wrongSet(why: string, cause?: unknown): AppletError {
  return new AppletError('ERR_PARAMETERS', why, {}, cause);
}

/** Whether a CA key is the sandbox's: only its cards may be asked for an online PIN. */
export function isSandboxCa(rid: string, index: number): boolean {
  return rid === RID_UNIONPAY && index >= SANDBOX_CA_INDEX_MIN;
}
