/** Card recognition data 66/73: GlobalPlatform version, secure channels. @see GPCS 2.3.1 §H.2 */
import { byteAt } from '../../bytes/index.ts';
import { decodeTlv, findTlv, type Tlv } from '../../iso7816/index.ts';
import { formatFault } from './errors.ts';

/** One secure channel protocol of the card and its parameter i. */
export type CardSecureChannel = { readonly protocol: number; readonly parameterI: number };

/** What the card says about itself. */
export type CardRecognition = {
  /** Whether the first object identifier is GlobalPlatform's own. */
  readonly isGlobalPlatform: boolean;
  readonly objectIdentifier: string | null;
  /** As `2.1.1`. */
  readonly globalPlatformVersion: string | null;
  readonly identificationScheme: string | null;
  readonly secureChannels: readonly CardSecureChannel[];
  readonly cardConfiguration: string | null;
  readonly cardDetails: string | null;
};

const GLOBAL_PLATFORM = '1.2.840.114283';
/** Longest arc that is still an exact number. */
const ARC_MAX = 2 ** 45;

/**
 * Dotted form of an object identifier's content bytes.
 * @throws GlobalPlatformError `ERR_GP_FORMAT` when it is empty or an arc does not end.
 */
export function objectIdentifierText(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  let isOpen = true;
  for (let index = 0; index < content.length; index++) {
    const byte = byteAt(content, index);
    arc = arc * 128 + (byte & 0x7f);
    if (arc > ARC_MAX) throw formatFault('object identifier has a too long arc', index);
    isOpen = (byte & 0x80) !== 0;
    if (isOpen) continue;
    arcs.push(arc);
    arc = 0;
  }
  if (isOpen) throw formatFault('object identifier ends early', content.length);
  const [first = 0, ...rest] = arcs;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - 40 * root, ...rest].join('.');
}

/**
 * Reads 66, 73 or what is inside them.
 * @throws Iso7816Error for malformed TLV, GlobalPlatformError `ERR_GP_FORMAT`.
 */
export function decodeCardRecognition(bytes: Uint8Array): CardRecognition {
  const objects = decodeTlv(bytes);
  const inside = findTlv(objects, '73')?.children ?? objects;
  const own = inside.find(({ tag }) => tag === '06');
  const identifier = own ? objectIdentifierText(own.value) : null;
  return {
    isGlobalPlatform: identifier?.startsWith(GLOBAL_PLATFORM) ?? false,
    objectIdentifier: identifier,
    globalPlatformVersion: arcsAfter(identifierIn(inside, '60'), `${GLOBAL_PLATFORM}.2.`),
    identificationScheme: identifierIn(inside, '63'),
    secureChannels: inside
      .filter(({ tag }) => tag === '64')
      .flatMap(({ children = [] }) => children.filter(({ tag }) => tag === '06'))
      .flatMap(({ value }) => secureChannelOf(objectIdentifierText(value))),
    cardConfiguration: identifierIn(inside, '65'),
    cardDetails: identifierIn(inside, '66'),
  };
}

function identifierIn(objects: readonly Tlv[], tag: string): string | null {
  const inner = objects.find((object) => object.tag === tag)?.children;
  const identifier = inner?.find((object) => object.tag === '06');
  return identifier ? objectIdentifierText(identifier.value) : null;
}

function arcsAfter(identifier: string | null, prefix: string): string | null {
  return identifier?.startsWith(prefix) ? identifier.slice(prefix.length) : null;
}

function secureChannelOf(identifier: string): readonly CardSecureChannel[] {
  const arcs = arcsAfter(identifier, `${GLOBAL_PLATFORM}.4.`)?.split('.').map(Number);
  const [protocol, parameterI] = arcs ?? [];
  return protocol === undefined || parameterI === undefined ? [] : [{ protocol, parameterI }];
}
