/**
 * From the CA's key to the card's signature: every link that was given, each with its steps. Used
 * for certificates that stand alone and for those of a whole session.
 */
import { concatBytes, fromHex, toHex } from '../bytes/index.ts';
import type { CipherProvider } from '../crypto/provider.ts';
import {
  COMBINED_DATA_CHECKS,
  type CombinedDataInput,
  DYNAMIC_DATA_CHECKS,
  type EmvRsaPublicKey,
  ICC_CERTIFICATE_CHECKS,
  ISSUER_CERTIFICATE_CHECKS,
  type RecoveryFailure,
  type RecoveryFault,
  recoverCombinedDynamicData,
  recoverIccCertificate,
  recoverIssuerCertificate,
  recoverSignedDynamicData,
  recoverSignedStaticData,
  STATIC_DATA_CHECKS,
} from '../emv/data/index.ts';
import { both, finding, nodeOf, notPossible, step } from './build.ts';
import { faultCode, faultText } from './certificate-faults.ts';
import {
  certificateFields,
  certificateNodes,
  emptyCertificate,
  emptySignedData,
  hasWholeKey,
  signedDataFields,
  signedDataNodes,
} from './certificate-fields.ts';
import type { CertificateFact, SignedDataFact } from './facts.ts';
import type { BothLanguages, ExplainCheck, ExplainNode, Finding } from './types.ts';

/** A certificate with what stands outside of it. */
export type LinkInput = {
  readonly certificate: Uint8Array;
  readonly remainder: Uint8Array | undefined;
  readonly exponent: Uint8Array | undefined;
};

/** Everything that was given; what is missing makes its checks not possible. */
export type ChainInput = {
  readonly caKey: EmvRsaPublicKey | null;
  readonly issuerKey: EmvRsaPublicKey | null;
  readonly iccKey: EmvRsaPublicKey | null;
  readonly issuer: LinkInput | null;
  readonly icc: LinkInput | null;
  readonly iccPin: LinkInput | null;
  /** 93. */
  readonly staticSignature: Uint8Array | null;
  /** 9F4B. */
  readonly dynamicSignature: Uint8Array | null;
  /** Records and AIP that the card certificate or 93 covers. */
  readonly staticData: Uint8Array | null;
  /** What the DDOL gave, or for fDDA its terminal data. */
  readonly terminalData: Uint8Array | null;
  /** Set for a combined answer of GENERATE AC. */
  readonly combined: Omit<CombinedDataInput, 'signature'> | null;
  readonly pan: string | null;
  readonly dateYymmdd: string | null;
};

/** The links as facts, with checks and lines. */
export type ChainResult = {
  readonly issuer: CertificateFact | null;
  readonly icc: CertificateFact | null;
  readonly iccPin: CertificateFact | null;
  readonly staticData: SignedDataFact | null;
  readonly dynamicData: SignedDataFact | null;
  readonly checks: readonly ExplainCheck[];
  readonly tree: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

type Link<Fact> = {
  readonly fact: Fact;
  readonly check: ExplainCheck;
  readonly node: ExplainNode;
  readonly findings: readonly Finding[];
};

const NAMES = {
  issuer: both('Issuer public key certificate (90)', '发卡行公钥证书（90）'),
  icc: both('ICC public key certificate (9F46)', 'IC 卡公钥证书（9F46）'),
  iccPin: both('ICC PIN encipherment certificate (9F2D)', 'IC 卡密码加密公钥证书（9F2D）'),
  static: both('Signed static application data (93)', '签名的静态应用数据（93）'),
  dynamic: both('Signed dynamic application data (9F4B)', '签名的动态应用数据（9F4B）'),
} as const;

/** Verifies all links; never throws. @see EMV 4.3 B2 §5, §6, §7 */
export function verifyChain(ciphers: CipherProvider, input: ChainInput): ChainResult {
  const issuer = input.issuer ? issuerLink(ciphers, input, input.issuer) : null;
  const issuerKey = input.issuerKey ?? keyOf(issuer?.fact ?? null);
  const icc = input.icc
    ? iccLink(ciphers, input, { link: input.icc, issuerKey, type: 'icc' })
    : null;
  const iccPin = input.iccPin
    ? iccLink(ciphers, input, { link: input.iccPin, issuerKey, type: 'iccPin' })
    : null;
  const iccKey = input.iccKey ?? keyOf(icc?.fact ?? null);
  const staticData = input.staticSignature
    ? staticLink(ciphers, input, { signature: input.staticSignature, key: issuerKey })
    : null;
  const dynamicData = input.dynamicSignature
    ? dynamicLink(ciphers, input, { signature: input.dynamicSignature, key: iccKey })
    : null;
  const links = [issuer, icc, iccPin, staticData, dynamicData].filter((link) => link !== null);
  return {
    issuer: issuer?.fact ?? null,
    icc: icc?.fact ?? null,
    iccPin: iccPin?.fact ?? null,
    staticData: staticData?.fact ?? null,
    dynamicData: dynamicData?.fact ?? null,
    checks: links.map((link) => link.check),
    tree: links.map((link) => link.node),
    findings: links.flatMap((link) => link.findings),
  };
}

function keyOf(fact: CertificateFact | null): EmvRsaPublicKey | null {
  if (!hasWholeKey(fact)) return null;
  return { modulus: fromHex(fact.publicKey), exponent: fromHex(fact.exponent ?? '03') };
}

function issuerLink(
  ciphers: CipherProvider,
  input: ChainInput,
  link: LinkInput,
): Link<CertificateFact> {
  const { caKey } = input;
  if (!caKey) return withoutKey('issuer', link.certificate, both('CA public key', '认证中心公钥'));
  const result = recoverIssuerCertificate(ciphers, {
    caKey,
    certificate: link.certificate,
    remainder: link.remainder,
    exponent: link.exponent ?? Uint8Array.of(3),
    ...expectation(input),
  });
  return certificateLink(ciphers, input, {
    result,
    link,
    type: 'issuer',
    order: ISSUER_CERTIFICATE_CHECKS,
    covered: new Uint8Array(0),
  });
}

function iccLink(
  ciphers: CipherProvider,
  input: ChainInput,
  given: {
    readonly link: LinkInput;
    readonly issuerKey: EmvRsaPublicKey | null;
    readonly type: 'icc' | 'iccPin';
  },
): Link<CertificateFact> {
  const { link, issuerKey, type } = given;
  const name = type === 'icc' ? 'icc' : 'iccPin';
  if (!issuerKey) {
    return withoutKey(name, link.certificate, both('issuer public key', '发卡行公钥'));
  }
  const covered = type === 'icc' ? input.staticData : new Uint8Array(0);
  const result = recoverIccCertificate(ciphers, {
    issuerKey,
    certificate: link.certificate,
    remainder: link.remainder,
    exponent: link.exponent ?? Uint8Array.of(3),
    staticData: covered ?? new Uint8Array(0),
    ...expectation(input),
  });
  return certificateLink(ciphers, input, {
    result,
    link,
    type,
    order: ICC_CERTIFICATE_CHECKS,
    covered,
  });
}

function expectation(input: ChainInput): { pan?: string; dateYymmdd?: string } {
  return {
    ...(input.pan === null ? {} : { pan: input.pan }),
    ...(input.dateYymmdd === null ? {} : { dateYymmdd: input.dateYymmdd }),
  };
}

type CertificateOutcome = {
  readonly result: { readonly ok: true; readonly recovered: Uint8Array } | RecoveryFailure;
  readonly link: LinkInput;
  readonly type: CertificateFact['type'];
  readonly order: readonly RecoveryFault[];
  /** Null when what the certificate covers was not given. */
  readonly covered: Uint8Array | null;
};

function certificateLink(
  ciphers: CipherProvider,
  input: ChainInput,
  outcome: CertificateOutcome,
): Link<CertificateFact> {
  const { result, link, type, order, covered } = outcome;
  const { recovered } = result;
  const isUnchecked = !result.ok && result.fault === 'hash' && covered === null;
  const fields = recovered
    ? certificateFields(recovered, type, link)
    : emptyCertificate(type, 'RSA');
  const hash =
    recovered && fields.hash !== null && covered !== null
      ? toHex(
          ciphers.sha1(
            concatBytes(
              recovered.subarray(1, recovered.length - 21),
              link.remainder ?? new Uint8Array(0),
              link.exponent ?? Uint8Array.of(3),
              covered,
            ),
          ),
        )
      : null;
  const isExpired =
    fields.validThrough === null || input.dateYymmdd === null
      ? null
      : dashed(input.dateYymmdd) > fields.validThrough;
  const fact: CertificateFact = {
    ...fields,
    expired: isExpired,
    hashMatches: hash === null ? null : hash === fields.hash,
    valid: result.ok ? true : isUnchecked ? null : false,
  };
  const check = recoveryCheck(`${type}Certificate`, result, order, {
    unchecked: notAsked(input),
    isUnchecked,
    hash: fields.hash,
    computed: hash,
  });
  const children = recovered ? certificateNodes(recovered, fields) : [];
  return linkOf(NAMES[type], link.certificate, { fact, check, children, result, isUnchecked });
}

/** Checks whose other side was not given. */
function notAsked(input: ChainInput): readonly RecoveryFault[] {
  return [
    'revoked',
    ...(input.pan === null ? (['pan', 'issuerIdentifier'] as const) : []),
    ...(input.dateYymmdd === null ? (['expired'] as const) : []),
  ];
}

/** `YYYY-MM-DD` of a transaction date. */
function dashed(yymmdd: string): string {
  const year = Number(yymmdd.slice(0, 2)) < 50 ? '20' : '19';
  return `${year}${yymmdd.slice(0, 2)}-${yymmdd.slice(2, 4)}-${yymmdd.slice(4, 6)}`;
}

function staticLink(
  ciphers: CipherProvider,
  input: ChainInput,
  given: { readonly signature: Uint8Array; readonly key: EmvRsaPublicKey | null },
): Link<SignedDataFact> {
  const { signature, key } = given;
  if (!key) return withoutDataKey('static', signature, both('issuer public key', '发卡行公钥'));
  const covered = input.staticData;
  const result = recoverSignedStaticData(ciphers, {
    issuerKey: key,
    signature,
    staticData: covered ?? new Uint8Array(0),
  });
  return dataLink(ciphers, {
    result,
    signature,
    type: 'static',
    order: STATIC_DATA_CHECKS,
    covered,
  });
}

function dynamicLink(
  ciphers: CipherProvider,
  input: ChainInput,
  given: { readonly signature: Uint8Array; readonly key: EmvRsaPublicKey | null },
): Link<SignedDataFact> {
  const { signature, key } = given;
  if (!key) return withoutDataKey('dynamic', signature, both('ICC public key', 'IC 卡公钥'));
  if (input.combined) {
    const result = recoverCombinedDynamicData(ciphers, {
      ...input.combined,
      iccKey: key,
      signature,
    });
    const covered = input.combined.unpredictableNumber;
    return dataLink(ciphers, {
      result,
      signature,
      type: 'dynamic',
      order: COMBINED_DATA_CHECKS,
      covered,
    });
  }
  const covered = input.terminalData;
  const result = recoverSignedDynamicData(ciphers, {
    iccKey: key,
    signature,
    terminalData: covered ?? new Uint8Array(0),
  });
  return dataLink(ciphers, {
    result,
    signature,
    type: 'dynamic',
    order: DYNAMIC_DATA_CHECKS,
    covered,
  });
}

type DataOutcome = {
  readonly result: { readonly ok: true; readonly recovered: Uint8Array } | RecoveryFailure;
  readonly signature: Uint8Array;
  readonly type: SignedDataFact['type'];
  readonly order: readonly RecoveryFault[];
  readonly covered: Uint8Array | null;
};

function dataLink(ciphers: CipherProvider, outcome: DataOutcome): Link<SignedDataFact> {
  const { result, signature, type, order, covered } = outcome;
  const { recovered } = result;
  const isUnchecked = !result.ok && result.fault === 'hash' && covered === null;
  const fields = recovered ? signedDataFields(recovered, type) : emptySignedData(type, 'RSA');
  const hash =
    recovered && fields.hash !== null && covered !== null
      ? toHex(ciphers.sha1(concatBytes(recovered.subarray(1, recovered.length - 21), covered)))
      : null;
  const fact: SignedDataFact = {
    ...fields,
    hashMatches: hash === null ? null : hash === fields.hash,
    valid: result.ok ? true : isUnchecked ? null : false,
  };
  const check = recoveryCheck(`${type}Signature`, result, order, {
    unchecked: [],
    isUnchecked,
    hash: fields.hash,
    computed: hash,
  });
  const children = recovered ? signedDataNodes(recovered, fields) : [];
  return linkOf(NAMES[type], signature, { fact, check, children, result, isUnchecked });
}

/** One step a check of the standard, up to the first that failed. */
function recoveryCheck(
  name: string,
  result: { readonly ok: true } | RecoveryFailure,
  order: readonly RecoveryFault[],
  hashes: {
    /** Checks that need what was not given. */
    readonly unchecked: readonly RecoveryFault[];
    readonly isUnchecked: boolean;
    readonly hash: string | null;
    readonly computed: string | null;
  },
): ExplainCheck {
  const failedAt = result.ok ? order.length : order.indexOf(result.fault);
  const steps = order.slice(0, failedAt + 1).map((fault, index) => {
    const isOpen = hashes.unchecked.includes(fault) || (index === failedAt && hashes.isUnchecked);
    return step(faultText(fault), isOpen ? 'notPossible' : index < failedAt ? 'passed' : 'failed');
  });
  return {
    name,
    result: result.ok ? 'passed' : hashes.isUnchecked ? 'notPossible' : 'failed',
    steps,
    ...(hashes.hash !== null && hashes.computed !== null
      ? { expected: hashes.hash, actual: hashes.computed }
      : {}),
  };
}

function linkOf<Fact>(
  name: BothLanguages,
  bytes: Uint8Array,
  parts: {
    readonly fact: Fact;
    readonly check: ExplainCheck;
    readonly children: readonly ExplainNode[];
    readonly result: { readonly ok: true } | RecoveryFailure;
    readonly isUnchecked: boolean;
  },
): Link<Fact> {
  const { fact, check, children, result, isUnchecked } = parts;
  const findings: Finding[] = [];
  if (!result.ok) {
    const what = faultText(result.fault);
    const code = faultCode(result.fault);
    const message = isUnchecked
      ? both(`${name.en}: what it covers was not given`, `${name.zh}：未给出其覆盖的数据`)
      : both(`${name.en}: fails at: ${what.en}`, `${name.zh}：未通过：${what.zh}`);
    findings.push(finding(isUnchecked ? 'note' : 'error', code, result.where.offsetBytes, message));
  }
  const text = VERDICTS[check.result];
  const node = nodeOf(name, { offsetBytes: 0, bytes }, { text, children, findings });
  return { fact, check, node, findings };
}

const VERDICTS: Readonly<Record<ExplainCheck['result'], BothLanguages>> = {
  passed: both('valid', '有效'),
  failed: both('invalid', '无效'),
  notPossible: both('cannot be checked', '无法验证'),
};

function withoutKey(
  type: CertificateFact['type'],
  certificate: Uint8Array,
  what: BothLanguages,
): Link<CertificateFact> {
  const why = both(`${what.en} is not known`, `${what.zh}未知`);
  const check = notPossible(`${type}Certificate`, why);
  const found = finding(
    'warning',
    'CERTIFICATE_KEY_UNKNOWN',
    null,
    both(`${NAMES[type].en}: ${why.en}`, `${NAMES[type].zh}：${why.zh}`),
  );
  const node = nodeOf(
    NAMES[type],
    { offsetBytes: 0, bytes: certificate },
    { text: why, findings: [found] },
  );
  return { fact: emptyCertificate(type, 'RSA'), check, node, findings: [found] };
}

function withoutDataKey(
  type: SignedDataFact['type'],
  signature: Uint8Array,
  what: BothLanguages,
): Link<SignedDataFact> {
  const why = both(`${what.en} is not known`, `${what.zh}未知`);
  const found = finding(
    'warning',
    'CERTIFICATE_KEY_UNKNOWN',
    null,
    both(`${NAMES[type].en}: ${why.en}`, `${NAMES[type].zh}：${why.zh}`),
  );
  const node = nodeOf(
    NAMES[type],
    { offsetBytes: 0, bytes: signature },
    { text: why, findings: [found] },
  );
  return {
    fact: emptySignedData(type, 'RSA'),
    check: notPossible(`${type}Signature`, why),
    node,
    findings: [found],
  };
}
