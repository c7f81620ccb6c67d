/** Offline data authentication of a recorded session, as the terminal would have made it. */
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import type { CipherProvider } from '../crypto/provider.ts';
import type { EmvRsaPublicKey } from '../emv/data/index.ts';
import { givenBytes } from './build.ts';
import { knownCaKey } from './ca-keys-known.ts';
import {
  type ChainInput,
  type ChainResult,
  type LinkInput,
  verifyChain,
} from './certificate-chain.ts';
import { isSmData, verifySmChain } from './certificate-chain-sm.ts';
import type { ApduLogFacts, CertificateFact } from './facts.ts';
import type { Story } from './log-story.ts';
import type { ExplainCheck, ExplainInput, ExplainNode, Finding } from './types.ts';

type LogAuthentication = {
  readonly fact: ApduLogFacts['dataAuthentication'];
  readonly checks: readonly ExplainCheck[];
  readonly tree: readonly ExplainNode[];
  /** Cryptograms that stood inside signatures, by their place in the story. */
  readonly cryptograms: ReadonlyMap<number, string>;
  readonly findings: readonly Finding[];
};

/** Verifies what the session holds with a given or known CA key. @see EMV 4.3 B2 §5, §6 */
export function authenticateLog(
  ciphers: CipherProvider,
  input: ExplainInput,
  story: Story,
): LogAuthentication {
  const { values } = story;
  const method = methodOf(story);
  const ca = caKeyOf(input, story);
  const isSm = [values.get('90'), values.get('9F46')].some(isSmData);
  if (method === null) return NOT_MADE;
  if (isSm) return authenticateSm(ciphers, input, { story, method });
  const chain: ChainInput = {
    caKey: ca?.key ?? null,
    issuerKey: null,
    iccKey: null,
    issuer: linkOf(values, ['90', '92', '9F32']),
    icc: linkOf(values, ['9F46', '9F48', '9F47']),
    iccPin: linkOf(values, ['9F2D', '9F2F', '9F2E']),
    staticSignature: values.get('93') ?? null,
    dynamicSignature: signatureOf(story, method),
    staticData: staticDataOf(story),
    terminalData:
      method === 'fDDA' ? fastTerminalData(story) : (story.dynamic?.terminalData ?? null),
    combined: method === 'CDA' ? (story.combined[0] ?? null) : null,
    pan: panOf(values),
    dateYymmdd: dateOf(story),
  };
  const result = verifyChain(ciphers, chain);
  const later = laterAnswers(ciphers, chain, { story, icc: result.icc });
  const fact = factOf(result, method, ca?.name ?? null);
  const inside = [result, ...later].map((each) => each.dynamicData?.cryptogram ?? null);
  const cryptograms = new Map(
    story.combined.flatMap((each, at) => {
      const cryptogram = inside[at] ?? null;
      return cryptogram === null ? [] : [[each.index, cryptogram] as const];
    }),
  );
  return {
    fact,
    checks: [...result.checks, ...later.flatMap((each) => each.checks)],
    tree: [...result.tree, ...later.flatMap((each) => each.tree)],
    cryptograms,
    findings: [...result.findings, ...later.flatMap((each) => each.findings)],
  };
}

const NOT_MADE: LogAuthentication = {
  fact: {
    method: null,
    issuerCertificate: 'notPossible',
    iccCertificate: 'notPossible',
    signature: 'notPossible',
    caKey: null,
  },
  checks: [],
  tree: [],
  cryptograms: new Map(),
  findings: [],
};

/** The same with SM2 certificates; no SM2 CA key is known here, it must be given. */
function authenticateSm(
  ciphers: CipherProvider,
  input: ExplainInput,
  given: { readonly story: Story; readonly method: string },
): LogAuthentication {
  const { story, method } = given;
  const { values } = story;
  const caKey = givenBytes(input, 'sm_ca_key') ?? null;
  const result = verifySmChain(ciphers, {
    caKey: caKey?.length === 64 ? caKey : null,
    issuerKey: null,
    iccKey: null,
    issuer: values.get('90') ?? null,
    icc: values.get('9F46') ?? null,
    staticSignature: values.get('93') ?? null,
    dynamicSignature: signatureOf(story, method),
    staticData: staticDataOf(story),
    terminalData: terminalDataOf(story, method),
    combined: method === 'CDA' ? (story.combined[0] ?? null) : null,
    pan: panOf(values),
    dateYymmdd: dateOf(story),
  });
  const fact = factOf(result, method, caKey ? 'SM2' : null);
  const inside = result.dynamicData?.cryptogram ?? null;
  const [first] = story.combined;
  const cryptograms = new Map(first && inside !== null ? [[first.index, inside] as const] : []);
  const { checks, tree, findings } = result;
  return { fact, checks, tree, cryptograms, findings };
}

function factOf(
  result: ChainResult,
  method: string,
  caKey: string | null,
): ApduLogFacts['dataAuthentication'] {
  return {
    method,
    issuerCertificate: resultOf(result, 'issuerCertificate'),
    iccCertificate: resultOf(result, 'iccCertificate'),
    signature: resultOf(result, method === 'SDA' ? 'staticSignature' : 'dynamicSignature'),
    caKey,
  };
}

function terminalDataOf(story: Story, method: string): Uint8Array | null {
  return method === 'fDDA' ? fastTerminalData(story) : (story.dynamic?.terminalData ?? null);
}

/** Combined answers after the first, under the same card key. */
function laterAnswers(
  ciphers: CipherProvider,
  chain: ChainInput,
  first: { readonly story: Story; readonly icc: CertificateFact | null },
): readonly ChainResult[] {
  const { story, icc } = first;
  const key = icc?.publicKey ?? null;
  const iccKey =
    key === null ? null : { modulus: fromHex(key), exponent: fromHex(icc?.exponent ?? '03') };
  return story.combined.slice(1).map((combined, at) => {
    const only = { ...chain, issuer: null, icc: null, iccPin: null, staticSignature: null };
    const signature = combined.signature;
    const result = verifyChain(ciphers, { ...only, iccKey, dynamicSignature: signature, combined });
    const checks = result.checks.map((check) => ({ ...check, name: `${check.name}${at + 2}` }));
    return { ...result, checks };
  });
}

/** What the card's answers show, the strongest first. */
function methodOf(story: Story): string | null {
  if (story.combined.length > 0) return 'CDA';
  if (story.dynamic) return 'DDA';
  const isContactless = story.cryptograms.some((each) => each.generateAc === 0);
  if (isContactless && story.values.has('9F4B')) return 'fDDA';
  if (story.values.has('93')) return story.values.has('9F46') ? null : 'SDA';
  return null;
}

function signatureOf(story: Story, method: string): Uint8Array | null {
  if (method === 'CDA') return story.combined[0]?.signature ?? null;
  if (method === 'DDA') return story.dynamic?.signature ?? null;
  return method === 'fDDA' ? (story.values.get('9F4B') ?? null) : null;
}

function caKeyOf(
  input: ExplainInput,
  story: Story,
): { readonly key: EmvRsaPublicKey; readonly name: string } | null {
  const rid = (story.selectedAid ?? '').slice(0, 10);
  const index = toHex(story.values.get('8F') ?? new Uint8Array(0));
  const modulus = givenBytes(input, 'capk_modulus', 'ca_modulus');
  const exponent = givenBytes(input, 'capk_exponent', 'ca_exponent') ?? Uint8Array.of(3);
  if (modulus) return { key: { modulus, exponent }, name: `${rid}/${index}` };
  const known = knownCaKey(rid, index);
  if (!known) return null;
  const key = { modulus: fromHex(known.modulus), exponent: fromHex(known.exponent) };
  return { key, name: `${rid}/${index}` };
}

function linkOf(
  values: ReadonlyMap<string, Uint8Array>,
  tags: readonly [certificate: string, remainder: string, exponent: string],
): LinkInput | null {
  const certificate = values.get(tags[0]);
  if (!certificate) return null;
  return { certificate, remainder: values.get(tags[1]), exponent: values.get(tags[2]) };
}

/** Signed records in the order read, then what 9F4A names: the AIP. @see EMV 4.3 B3 §10.3 */
function staticDataOf(story: Story): Uint8Array {
  const tagList = story.values.get('9F4A');
  const aip = story.processing?.aip;
  const isListed = tagList?.length === 1 && tagList[0] === 0x82 && aip !== undefined;
  return concatBytes(...story.signedParts, isListed ? fromHex(aip) : new Uint8Array(0));
}

/** 9F37, 9F02, 5F2A and 9F69. @see EMV C-7 (fDDA version 01) */
function fastTerminalData(story: Story): Uint8Array | null {
  const terminal = ['9F37', '9F02', '5F2A'].map((tag) => story.pdolValues.get(tag));
  const related = story.values.get('9F69');
  if (terminal.some((value) => value === undefined) || !related) return null;
  return concatBytes(...terminal.flatMap((value) => (value ? [value] : [])), related);
}

function panOf(values: ReadonlyMap<string, Uint8Array>): string | null {
  const pan = values.get('5A');
  if (pan) return toHex(pan).replace(/F+$/, '');
  const track = values.get('57');
  return track ? (toHex(track).split('D')[0] ?? null) : null;
}

function dateOf(story: Story): string | null {
  const inCommand = story.cryptograms
    .map((each) => each.values['9A'])
    .find((value) => value !== undefined);
  return inCommand !== undefined && /^[0-9]{6}$/.test(inCommand) ? inCommand : null;
}

function resultOf(result: ChainResult, name: string): ExplainCheck['result'] {
  return result.checks.find((check) => check.name === name)?.result ?? 'notPossible';
}
