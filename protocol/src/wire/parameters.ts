/**
 * Parameter sets (参数集): what a payment application accepts and refuses, as the gateway publishes
 * it: dated, numbered, and signed by the parameter-update key.
 */
import type { TerminalParametersJson } from './element.ts';
import { WireError } from './frames.ts';
import type { CaPublicKeyJson } from './hsm.ts';
import {
  countShape,
  hexShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
} from './shape.ts';

/** From and until which day, both included, something is accepted. */
type Dates = { readonly fromYymmdd: string; readonly untilYymmdd: string };

/** Rules for one application, with the days on which it is taken. */
export type DatedAid = TerminalParametersJson['aids'][number] &
  Dates & {
    /** Random selection for online processing. @see EMV 4.3 B3 §10.6.2 */
    readonly randomSelection: {
      readonly targetPercentage: number;
      readonly maximumTargetPercentage: number;
      readonly thresholdMinor: string;
    };
  };

/** A CA key; its last day is its own expiry. */
export type DatedCaKey = CaPublicKeyJson & Pick<Dates, 'fromYymmdd'>;

/** What an operator decides of a set. */
export type ParameterContent = Omit<TerminalParametersJson, 'aids' | 'caPublicKeys'> & {
  readonly aids: readonly DatedAid[];
  readonly caPublicKeys: readonly DatedCaKey[];
  /** Issuer certificates that are not believed any more. @see EMV 4.3 B2 §5.1.2 */
  readonly revokedCertificates: readonly {
    readonly rid: string;
    readonly index: string;
    readonly serialNumber: string;
  }[];
  readonly token: {
    /**
     * Issuer proprietary bitmap (IPB) of dynamic tokens: which bits of CID, ATC, cryptogram and
     * issuer application data are in a token. PBOC cards hold none: their 9F56 is another thing.
     */
    readonly issuerProprietaryBitmap: string;
  };
};

/** A whole set. */
export type ParameterSet = ParameterContent & {
  readonly format: '1';
  /** Rises with each set; gaps are allowed. */
  readonly version: number;
  readonly issuedAtMs: number;
  readonly validFromMs: number;
  readonly validUntilMs: number;
};

/** A set on its way: the very text that was signed. */
export type SignedParameterSet = {
  readonly body: string;
  /** ECDSA P-256/SHA-256 (IEEE P1363) by the parameter-update key over `body`, hex. */
  readonly signature: string;
};

/** Longest set, in characters: it fits a frame of the channel. */
export const PARAMETER_SET_CHARACTERS_MAX = 30_000;

const day = textShape(6, /^[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$/);
const minor = textShape(12, /^[0-9]+$/);

const aidShape: Shape<DatedAid> = objectShape<DatedAid>({
  aid: hexShape({ min: 5, max: 16 }),
  fromYymmdd: day,
  untilYymmdd: day,
  applicationVersion: hexShape({ min: 2, max: 2 }),
  tacDefault: hexShape({ min: 5, max: 5 }),
  tacDenial: hexShape({ min: 5, max: 5 }),
  tacOnline: hexShape({ min: 5, max: 5 }),
  floorLimitMinor: minor,
  randomSelection: objectShape({
    targetPercentage: countShape(99),
    maximumTargetPercentage: countShape(99),
    thresholdMinor: minor,
  }),
  defaultDdol: hexShape({ max: 64 }),
  contactless: nullableShape(
    objectShape({
      floorLimitMinor: minor,
      transactionLimitMinor: minor,
      cvmLimitMinor: minor,
    }),
  ),
});

/** A set by its form; canonical JSON has the fields in this order. */
export const parameterSetShape: Shape<ParameterSet> = objectShape<ParameterSet>({
  format: oneOfShape('1'),
  version: countShape(),
  issuedAtMs: countShape(),
  validFromMs: countShape(),
  validUntilMs: countShape(),
  terminalTransactionQualifiers: hexShape({ min: 4, max: 4 }),
  countryCode: hexShape({ min: 2, max: 2 }),
  terminalType: hexShape({ min: 1, max: 1 }),
  terminalCapabilities: hexShape({ min: 3, max: 3 }),
  additionalTerminalCapabilities: hexShape({ min: 5, max: 5 }),
  aids: listShape(aidShape, 32),
  caPublicKeys: listShape(
    objectShape({
      rid: hexShape({ min: 5, max: 5 }),
      index: hexShape({ min: 1, max: 1 }),
      fromYymmdd: day,
      expiryYymmdd: textShape(6, /^[0-9]{6}$/),
      modulus: hexShape({ min: 64, max: 256 }),
      exponent: hexShape({ min: 1, max: 3 }),
      sha1: hexShape({ min: 20, max: 20 }),
    }),
    64,
  ),
  revokedCertificates: listShape(
    objectShape({
      rid: hexShape({ min: 5, max: 5 }),
      index: hexShape({ min: 1, max: 1 }),
      serialNumber: hexShape({ min: 3, max: 3 }),
    }),
    256,
  ),
  token: objectShape({ issuerProprietaryBitmap: hexShape({ min: 11, max: 43 }) }),
});

/** A set on its way. */
export const signedParameterSetShape: Shape<SignedParameterSet> = objectShape<SignedParameterSet>({
  body: textShape(PARAMETER_SET_CHARACTERS_MAX),
  signature: hexShape({ min: 64, max: 64 }),
});

/** The text that is signed. @throws WireError `ERR_MESSAGE_FIELD`. */
export function encodeParameterSet(set: ParameterSet): string {
  const body = JSON.stringify(parameterSetShape(set, 'parameters'));
  if (body.length <= PARAMETER_SET_CHARACTERS_MAX) return body;
  throw wrong(`exceed ${PARAMETER_SET_CHARACTERS_MAX} characters`);
}

/**
 * The set of a text. Whatever it says must be understood: a field that is unknown, out of order or
 * written in another way is refused. @throws WireError `ERR_MESSAGE_FIELD`.
 */
export function readParameterSet(body: string): ParameterSet {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw wrong('are no JSON', cause);
  }
  const set = parameterSetShape(value, 'parameters');
  if (JSON.stringify(set) !== body) throw wrong('hold what is not understood');
  if (set.version === 0 || set.validFromMs >= set.validUntilMs) throw wrong('hold no term');
  return set;
}

function wrong(why: string, cause?: unknown): WireError {
  const facts = { fieldPath: 'parameters' };
  return new WireError('ERR_MESSAGE_FIELD', `the parameters ${why}`, facts, cause);
}
