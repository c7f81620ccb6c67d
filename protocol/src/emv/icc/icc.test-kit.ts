/**
 * A card in a test: images made by real data preparation and then bent, a contact session that
 * speaks hex, and the issuer's own computation of every cryptogram and MAC.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { nodeCiphers } from '../../../node/index.ts';
import { asciiToBytes, concatBytes, fromHex, type RandomSource, toHex } from '../../bytes/index.ts';
import {
  applicationCryptogram,
  arpcMethod1,
  deriveSessionKey,
  deriveSm4SessionKey,
  scriptMac4,
  sm4ApplicationCryptogram,
  sm4Arpc,
  sm4ScriptMac4,
} from '../../crypto/index.ts';
import {
  buildDolValue,
  decodeDol,
  decodeTlv,
  encodeTlv,
  findTlv,
  flattenTlv,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { IccImageRequest, RsaPrivateKey } from '../issuer/index.ts';
import { createVirtualIcc, type IccInterface, type VirtualIcc } from './index.ts';
import { type SampleKeys, sampleCard } from './sample.test-card.ts';

/** A fresh RSA key of exponent 3. */
export function rsaKey(modulusLength: number): RsaPrivateKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

export const KEYS: SampleKeys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
/** Always the same bytes, so that a card answers the same twice. */
export const RANDOM: RandomSource = { bytes: (length) => new Uint8Array(length).fill(0x5a) };

/** A debit card as the bureau makes it when nothing special is asked for. */
export const IMAGE: data.IccImage = sampleCard(nodeCiphers, KEYS).image;

/** What is special about a card, and what happened to it since. */
export type Change = {
  /** Goes through data preparation: lists, PIN, e-cash, algorithms. */
  readonly request?: Partial<IccImageRequest>;
  readonly state?: Partial<data.IccApplicationState>;
  /** Internal data objects (0D01) by tag; null takes one out. */
  readonly objects?: Readonly<Record<string, string | null>>;
  readonly dgis?: Readonly<Record<string, string>>;
  readonly image?: Partial<data.IccImage>;
};

/** The image of a card with a change. */
export function imageOf({ request, state, objects, dgis, image }: Change = {}): data.IccImage {
  const base = request ? sampleCard(nodeCiphers, KEYS, request).image : IMAGE;
  const [application, ...others] = base.applications;
  assert.ok(application);
  const changed = {
    ...application,
    dgis: { ...application.dgis, ...internalData(application, objects ?? {}), ...dgis },
    state: { ...application.state, ...state },
  };
  return { ...base, applications: [changed, ...others], ...image };
}

function internalData(
  application: data.IccApplication,
  change: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const old = decodeTlv(data.iccDgi(application, data.DGI_INTERNAL_DATA) ?? new Uint8Array(0));
  const kept = old.filter(({ tag }) => !(tag in change)).map(({ tag, value }) => ({ tag, value }));
  const added = Object.entries(change).flatMap(([tag, hex]) =>
    hex === null ? [] : [{ tag, value: fromHex(hex) }],
  );
  const bytes = [...kept, ...added].map(({ tag, value }) => encodeTlv(tag, value));
  return { [data.DGI_INTERNAL_DATA]: toHex(concatBytes(...bytes)) };
}

/** A card in its reader. */
export function cardOf(image: data.IccImage, by: IccInterface = 'contact'): VirtualIcc {
  return createVirtualIcc({ image, ciphers: nodeCiphers, random: RANDOM, interface: by });
}

/** State of an image's first application. */
export function stateOf(image: data.IccImage): data.IccApplicationState {
  const [application] = image.applications;
  assert.ok(application);
  return application.state;
}

/** A personalised value of the sample card with one part of it changed. */
export function changed(id: string, from: string, to: string): Readonly<Record<string, string>> {
  const hex = IMAGE.applications[0]?.dgis[id] ?? '';
  assert.ok(hex.includes(from));
  return { [id]: hex.replace(from, to) };
}

/** A personalised value of the sample card with its last bit flipped. */
export function spoiled(id: string): Readonly<Record<string, string>> {
  const bytes = fromHex(IMAGE.applications[0]?.dgis[id] ?? '');
  return { [id]: toHex(bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1)) };
}

/** Answer in hex. */
export type Answer = { readonly data: string; readonly sw: string };

/** Sends hex, gives back hex of data and of the status word. */
export function send(card: VirtualIcc, hex: string): Answer {
  const answer = toHex(card.transmit(fromHex(hex)));
  return { data: answer.slice(0, -4), sw: answer.slice(-4) };
}

/** A command with its Lc. */
export function commandOf(header: string, body: string, le = ''): string {
  const lc = (body.length / 2).toString(16).padStart(2, '0').toUpperCase();
  return `${header}${lc}${body}${le}`;
}

export const AID = 'A000000333010101';
export const SELECT: string = commandOf('00A40400', AID);
/** GET PROCESSING OPTIONS of a card without e-cash: country and currency. */
export const GPO = '80A8000006830401560156';
/** What the terminal says when a test says nothing else. */
export const TERMINAL: Readonly<Record<string, string>> = {
  '9F02': '000000001234',
  '9F03': '000000000000',
  '9F1A': '0156',
  '95': '0000048000',
  '5F2A': '0156',
  '9A': '260701',
  '9C': '00',
  '9F37': '7863AFC6',
  '9F21': '101112',
  '9F4E': toHex(asciiToBytes('TEST SHOP')),
  '8A': '3030',
};

/** A cryptogram's answer taken apart. */
export type Ac = {
  readonly cid: number;
  readonly atc: string;
  readonly ac: Uint8Array;
  readonly iad: Uint8Array;
  readonly cvr: string;
  readonly objects: ReadonlyMap<string, Uint8Array>;
};
const NONE = new Uint8Array(0);
const NO_AC: Ac = { cid: -1, atc: '', ac: NONE, iad: NONE, cvr: '', objects: new Map() };

/** Template 80 or 77; `ac` is empty when a signature took its place. */
export function takeApart(answer: Uint8Array): Ac {
  const objects = flattenTlv(decodeTlv(answer));
  const flat = findTlv(decodeTlv(answer), '80')?.value;
  const iad = flat ? flat.slice(11) : (objects.get('9F10') ?? NONE);
  return {
    cid: (flat ? flat[0] : objects.get('9F27')?.[0]) ?? -1,
    atc: toHex(flat ? flat.slice(1, 3) : (objects.get('9F36') ?? NONE)),
    ac: flat ? flat.slice(3, 11) : (objects.get('9F26') ?? NONE),
    iad,
    cvr: toHex(data.decodeIad(iad).cvr),
    objects,
  };
}

/** Names of the bits of a CVR. */
export function cvrNames(ac: Pick<Ac, 'cvr'>): readonly string[] {
  return data.bitsSet(fromHex(ac.cvr), data.CVR_BITS).map((bit) => bit.nameEn);
}

/** One card by contact, and its issuer. */
export class CardSession {
  readonly card: VirtualIcc;
  arqc: Uint8Array = NONE;
  /** Values of GPO, as the PDOL asks for them. */
  readonly #terminal: Readonly<Record<string, string>>;

  constructor(change: Change = {}, terminal: Readonly<Record<string, string>> = {}) {
    this.card = cardOf(imageOf(change));
    this.#terminal = { ...TERMINAL, ...terminal };
  }

  send(hex: string): Answer {
    return send(this.card, hex);
  }

  get application(): data.IccApplication {
    const [application] = this.card.image().applications;
    assert.ok(application);
    return application;
  }

  get state(): data.IccApplicationState {
    return stateOf(this.card.image());
  }

  /** An object of the card as the terminal finds it, hex. */
  object(tag: string): string {
    return toHex(data.iccObject(this.application, tag) ?? NONE);
  }

  dol(list: string, values: Readonly<Record<string, string>>): string {
    const valueFor = (tag: string) => (values[tag] ? fromHex(values[tag]) : undefined);
    return toHex(buildDolValue(decodeDol(fromHex(list)), valueFor, data.dolFormatOf));
  }

  /** The PDOL's values in a command. */
  gpo(change: Readonly<Record<string, string>> = {}): string {
    const list = toHex(fromHex(this.object('9F38')));
    const body = fromHex(this.dol(list, { ...this.#terminal, ...change }));
    return commandOf('80A80000', toHex(encodeTlv('83', body)), '00');
  }

  /** Select and GPO, both 9000, as a new transaction. */
  start(change: Readonly<Record<string, string>> = {}): this {
    this.arqc = NONE;
    const aid = this.application.aid;
    assert.ok(['9000', '6283'].includes(this.send(commandOf('00A40400', aid)).sw));
    assert.equal(this.send(this.gpo(change)).sw, '9000');
    return this;
  }

  generate(p1: string, change: Readonly<Record<string, string>> = {}): Ac & { sw: string } {
    const isFirst = this.arqc.length === 0;
    const values = { ...this.#terminal, ...change };
    const body = this.dol(this.object(isFirst ? '8C' : '8D'), values);
    const { data: answer, sw } = this.send(commandOf(`80AE${p1}00`, body, '00'));
    if (sw !== '9000') return { ...NO_AC, sw };
    const ac = takeApart(fromHex(answer));
    if (isFirst) this.arqc = ac.ac;
    return { ...ac, sw };
  }

  get isSm(): boolean {
    return this.application.dgis['8000'] === undefined;
  }

  key(kind: 'ac' | 'mac' | 'enc'): Uint8Array {
    const { dgis } = this.application;
    const keys = fromHex(dgis['8000'] ?? dgis['8001'] ?? '');
    const at = { ac: 0, mac: 16, enc: 32 }[kind];
    const udk = keys.slice(at, at + 16);
    return this.isSm
      ? deriveSm4SessionKey(nodeCiphers, udk, this.atc)
      : deriveSessionKey(udk, this.atc);
  }

  get atc(): Uint8Array {
    return Uint8Array.of(this.state.atc >> 8, this.state.atc & 255);
  }

  /** What the issuer computes for an answer of the card. */
  issuerCryptogram(ac: Ac, change: Readonly<Record<string, string>> = {}): string {
    const aip = data.processingOptions(this.application, {
      interface: 'contact',
      isSm: this.isSm,
      isElectronicCash: false,
    });
    const given = { ...this.#terminal, ...change, '9F36': ac.atc };
    const values = new Map(Object.entries(given).map(([tag, hex]) => [tag, fromHex(hex)]));
    values.set('82', aip?.slice(0, 2) ?? NONE);
    const input = concatBytes(
      ...data.AC_INPUT_CVN_01.map(({ tag }) => values.get(tag) ?? NONE),
      fromHex(ac.cvr),
    );
    const key = this.key('ac');
    return toHex(
      this.isSm
        ? sm4ApplicationCryptogram(nodeCiphers, key, input)
        : applicationCryptogram(key, input),
    );
  }

  /** Issuer authentication data of the right issuer for `arc`. */
  arpc(arc = '00'): string {
    const code = asciiToBytes(arc);
    const parts = { cryptogram: this.arqc, authorisationResponseCode: code };
    const arpc = this.isSm
      ? sm4Arpc(nodeCiphers, this.key('ac'), parts)
      : arpcMethod1(this.key('ac'), this.arqc, code);
    return toHex(concatBytes(arpc, code));
  }

  externalAuthenticate(authenticationData: string = this.arpc()): string {
    return this.send(`008200000A${authenticationData}`).sw;
  }

  /** A script command of the right issuer, in hex. */
  scriptCommand(header: string, plain = ''): string {
    const head = concatBytes(fromHex(header), Uint8Array.of(plain.length / 2 + 4));
    const parts = {
      header: head,
      atc: this.atc,
      cryptogram: this.arqc,
      data: fromHex(plain),
    };
    const key = this.key('mac');
    const mac = this.isSm
      ? sm4ScriptMac4(nodeCiphers, key, parts)
      : scriptMac4(key, head, parts.atc, parts.cryptogram, parts.data);
    return `${toHex(head)}${plain}${toHex(mac)}`;
  }

  script(header: string, plain = ''): string {
    return this.send(this.scriptCommand(header, plain)).sw;
  }

  /** The same with a last bit that is wrong. */
  brokenScript(header: string, plain = ''): string {
    const command = fromHex(this.scriptCommand(header, plain));
    return this.send(toHex(command.with(-1, (command.at(-1) ?? 0) ^ 1))).sw;
  }

  /** A new PIN as the issuer sends it. */
  pinChangeData(block: string): string {
    return toHex(
      data.encipherPinChange(nodeCiphers, {
        algorithm: data.iadAlgorithm(this.isSm),
        sessionKeyEnc: this.key('enc'),
        block: fromHex(block),
      }),
    );
  }
}
