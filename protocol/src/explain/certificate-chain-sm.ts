/** The SM2 chain: clear certificates and signatures, each link with its steps. @see PBOC3 P17 */
import { fromHex } from '../bytes/index.ts';
import { isSm2PublicKey, SM2_PUBLIC_KEY_BYTES, SM2_SIGNATURE_BYTES } from '../crypto/index.ts';
import type { CipherProvider } from '../crypto/provider.ts';
import {
  type CombinedDataInput,
  type RecoveryFailure,
  type RecoveryFault,
  SM_DYNAMIC_DATA_CHECKS,
  SM_ICC_CERTIFICATE_CHECKS,
  SM_ISSUER_CERTIFICATE_CHECKS,
  SM_SIGNED_DATA,
  SM_STATIC_DATA_CHECKS,
  smCertificateOffsets,
  smDynamicDataParts,
  verifySmCombinedDynamicData,
  verifySmDynamicData,
  verifySmIccCertificate,
  verifySmIssuerCertificate,
  verifySmStaticData,
} from '../emv/data/index.ts';
import { both, finding, nodeOf, notPossible, step } from './build.ts';
import type { ChainResult } from './certificate-chain.ts';
import { faultCode, faultText } from './certificate-faults.ts';
import {
  smCertificateFields,
  smCertificateNodes,
  smSignedDataFields,
} from './certificate-fields.ts';
import type { CertificateFact, SignedDataFact } from './facts.ts';
import type { BothLanguages, ExplainCheck, ExplainNode, Finding } from './types.ts';

/** Everything that was given; keys are points x ‖ y. */
export type SmChainInput = {
  readonly caKey: Uint8Array | null;
  readonly issuerKey: Uint8Array | null;
  readonly iccKey: Uint8Array | null;
  readonly issuer: Uint8Array | null;
  readonly icc: Uint8Array | null;
  readonly staticSignature: Uint8Array | null;
  readonly dynamicSignature: Uint8Array | null;
  readonly staticData: Uint8Array | null;
  readonly terminalData: Uint8Array | null;
  readonly combined: Omit<CombinedDataInput, 'signature'> | null;
  readonly pan: string | null;
  readonly dateYymmdd: string | null;
};

type Outcome = { readonly ok: true } | RecoveryFailure;

/** What one link adds to the answer. */
type Added = {
  readonly checks: ExplainCheck[];
  readonly tree: ExplainNode[];
  readonly findings: Finding[];
};

/**
 * Whether bytes are an SM2 certificate, cut off or whole, or SM2-signed data. The format byte alone
 * does not tell: an RSA certificate begins with any byte.
 */
export function isSmData(bytes: Uint8Array | null | undefined): boolean {
  if (!bytes) return false;
  const { issuerCertificate, iccCertificate, staticData, dynamicData } = SM_SIGNED_DATA;
  const isCertificate = [issuerCertificate, iccCertificate].some((form) => {
    const at = smCertificateOffsets(form);
    return (
      bytes[0] === form.format &&
      bytes.length <= at.lengthBytes &&
      bytes[at.curveParameter] === SM_SIGNED_DATA.curveParameter &&
      bytes[at.keyLength] === SM2_PUBLIC_KEY_BYTES
    );
  });
  const staticBytes = 1 + staticData.authenticationCodeBytes + SM2_SIGNATURE_BYTES;
  const isStatic = bytes[0] === staticData.format && bytes.length === staticBytes;
  const isDynamic = bytes[0] === dynamicData.format && smDynamicDataParts(bytes) !== null;
  return isCertificate || isStatic || isDynamic;
}

/** Verifies all links that were given; never throws. */
export function verifySmChain(ciphers: CipherProvider, input: SmChainInput): ChainResult {
  const note = both(
    'SM2: clear data and a signature; RSA recovery must not be tried',
    'SM2：明文数据加签名，不能用 RSA 恢复',
  );
  const added: Added = { checks: [], tree: [], findings: [finding('note', 'SM_NOT_RSA', 0, note)] };
  const issuer = input.issuer ? issuerLink(ciphers, input, { bytes: input.issuer, added }) : null;
  const issuerKey = input.issuerKey ?? keyOf(issuer);
  const icc = input.icc
    ? iccLink(ciphers, input, { bytes: input.icc, key: issuerKey, added })
    : null;
  const iccKey = input.iccKey ?? keyOf(icc);
  const staticData = staticLink(ciphers, input, { key: issuerKey, added });
  const dynamicData = dynamicLink(ciphers, input, { key: iccKey, added });
  return { issuer, icc, iccPin: null, staticData, dynamicData, ...added };
}

function keyOf(fact: CertificateFact | null): Uint8Array | null {
  return fact?.publicKey ? fromHex(fact.publicKey) : null;
}

function expectation(input: SmChainInput): { pan?: string; dateYymmdd?: string } {
  return {
    ...(input.pan === null ? {} : { pan: input.pan }),
    ...(input.dateYymmdd === null ? {} : { dateYymmdd: input.dateYymmdd }),
  };
}

function issuerLink(
  ciphers: CipherProvider,
  input: SmChainInput,
  given: { readonly bytes: Uint8Array; readonly added: Added },
): CertificateFact {
  const { bytes, added } = given;
  const outcome = input.caKey
    ? verifySmIssuerCertificate(ciphers, {
        ...expectation(input),
        caKey: input.caKey,
        certificate: bytes,
      })
    : null;
  const order = SM_ISSUER_CERTIFICATE_CHECKS;
  return certificate(input, { type: 'issuer', bytes, outcome, order, added });
}

function iccLink(
  ciphers: CipherProvider,
  input: SmChainInput,
  given: { readonly bytes: Uint8Array; readonly key: Uint8Array | null; readonly added: Added },
): CertificateFact {
  const { bytes, key, added } = given;
  const outcome =
    key && input.staticData
      ? verifySmIccCertificate(ciphers, {
          ...expectation(input),
          issuerKey: key,
          certificate: bytes,
          staticData: input.staticData,
        })
      : null;
  return certificate(input, {
    type: 'icc',
    bytes,
    outcome,
    order: SM_ICC_CERTIFICATE_CHECKS,
    added,
  });
}

function certificate(
  input: SmChainInput,
  link: {
    readonly type: 'issuer' | 'icc';
    readonly bytes: Uint8Array;
    readonly outcome: Outcome | null;
    readonly order: readonly RecoveryFault[];
    readonly added: Added;
  },
): CertificateFact {
  const { type, bytes, outcome, order, added } = link;
  const fields = smCertificateFields(bytes, type);
  const name =
    type === 'issuer'
      ? both('Issuer certificate', '发卡行证书')
      : both('ICC certificate', 'IC 卡证书');
  const children = smCertificateNodes(bytes, type);
  added.tree.push(nodeOf(name, { offsetBytes: 0, bytes }, { children }));
  const isOnCurve = fields.publicKey !== null && isSm2PublicKey(fromHex(fields.publicKey));
  added.checks.push({
    name: `${type}Certificate.publicKey`,
    result: isOnCurve ? 'passed' : 'failed',
    steps: [
      step(both('a point of the SM2 curve', '公钥为 SM2 曲线上的点'), fields.publicKey ?? ''),
    ],
  });
  if (fields.signature === null) {
    const message = both(
      'the certificate is cut off before its signature ends',
      '证书在签名结束前被截断',
    );
    added.findings.push(finding('warning', 'CERTIFICATE_CUT', bytes.length, message));
  }
  // A cut-off excerpt has no signature to judge: that its length is wrong was said above.
  const judged = fields.signature === null ? null : outcome;
  addCheck(added, `${type}Certificate`, judged, order);
  const valid = !isOnCurve ? false : judged === null ? null : judged.ok;
  const day = input.dateYymmdd;
  const expired =
    day === null || fields.validThrough === null
      ? null
      : `20${day.slice(0, 2)}-${day.slice(2, 4)}-${day.slice(4)}` > fields.validThrough;
  return { ...fields, expired, valid };
}

function staticLink(
  ciphers: CipherProvider,
  input: SmChainInput,
  given: { readonly key: Uint8Array | null; readonly added: Added },
): SignedDataFact | null {
  const signature = input.staticSignature;
  if (!signature) return null;
  const { key, added } = given;
  const outcome =
    key && input.staticData
      ? verifySmStaticData(ciphers, { issuerKey: key, signature, staticData: input.staticData })
      : null;
  const name = both('Signed static data (93)', '签名的静态数据（93）');
  added.tree.push(nodeOf(name, { offsetBytes: 0, bytes: signature }));
  addCheck(added, 'staticSignature', outcome, SM_STATIC_DATA_CHECKS);
  return {
    ...smSignedDataFields(signature, 'static'),
    valid: outcome === null ? null : outcome.ok,
  };
}

function dynamicLink(
  ciphers: CipherProvider,
  input: SmChainInput,
  given: { readonly key: Uint8Array | null; readonly added: Added },
): SignedDataFact | null {
  const signature = input.dynamicSignature;
  if (!signature) return null;
  const { key, added } = given;
  const outcome = key ? dynamicOutcome(ciphers, input, { signature, iccKey: key }) : null;
  const name = both('Signed dynamic data (9F4B)', '签名的动态数据（9F4B）');
  added.tree.push(nodeOf(name, { offsetBytes: 0, bytes: signature }));
  addCheck(added, 'dynamicSignature', outcome, SM_DYNAMIC_DATA_CHECKS);
  return {
    ...smSignedDataFields(signature, 'dynamic'),
    valid: outcome === null ? null : outcome.ok,
  };
}

function dynamicOutcome(
  ciphers: CipherProvider,
  input: SmChainInput,
  given: { readonly signature: Uint8Array; readonly iccKey: Uint8Array },
): Outcome | null {
  if (input.combined) return verifySmCombinedDynamicData(ciphers, { ...input.combined, ...given });
  const { terminalData } = input;
  return terminalData ? verifySmDynamicData(ciphers, { ...given, terminalData }) : null;
}

function addCheck(
  added: Added,
  name: string,
  outcome: Outcome | null,
  order: readonly RecoveryFault[],
): void {
  if (outcome === null) {
    const why: BothLanguages = both('signing key or signed data missing', '缺少签名公钥或被签数据');
    added.checks.push(notPossible(name, why));
    return;
  }
  const failedAt = outcome.ok ? order.length : order.indexOf(outcome.fault);
  const steps = order
    .slice(0, failedAt + 1)
    .map((fault, at) => step(faultText(fault), at < failedAt ? 'passed' : 'failed'));
  added.checks.push({ name, result: outcome.ok ? 'passed' : 'failed', steps });
  if (outcome.ok) return;
  const what = faultText(outcome.fault);
  const message = both(`${name}: fails at: ${what.en}`, `${name}：未通过：${what.zh}`);
  added.findings.push(
    finding('error', faultCode(outcome.fault), outcome.where.offsetBytes, message),
  );
}
