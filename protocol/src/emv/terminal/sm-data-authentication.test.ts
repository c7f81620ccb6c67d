/**
 * The SM2 chain in the kernel: when DF69 is offered, when the chain is taken, SDA, DDA and CDA with
 * it, and the same TVR bits for what is wrong; and the certificate revocation list of both chains.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers, systemRandom as random } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { sm2KeyPair } from '../../crypto/index.ts';
import { decodeTlv, encodeTlv } from '../../iso7816/index.ts';
import { kitKey } from '../data/certificate-recovery.test-kit.ts';
import { signSmDynamicData } from '../data/index.ts';
import {
  issueSmIccCertificate,
  issueSmIssuerCertificate,
  signSmStaticData,
} from '../issuer/index.ts';
import {
  answer,
  TEST_AID,
  TEST_CA_INDEX,
  TEST_PAN,
  type TestCardOptions,
  testCaKey,
  testCard,
} from './card.test-kit.ts';
import { combinedCard, type DynamicSigner } from './combined.test-kit.ts';
import {
  type CertificateRevocation,
  loadCaPublicKeys,
  type SmCaPublicKey,
  type TerminalProfile,
} from './index.ts';
import { type CaseRun, runCase, type TestCase } from './kernel.test-kit.ts';

const RSA = { ca: kitKey(1024), issuer: kitKey(1024), icc: kitKey(1024) };
const SM = { ca: sm2KeyPair(random), issuer: sm2KeyPair(random), icc: sm2KeyPair(random) };
const RID = fromHex(TEST_AID).slice(0, 5);
const SM_CA: SmCaPublicKey = {
  algorithm: 'SM2',
  rid: RID,
  index: 0x18,
  publicKey: SM.ca.publicKey,
  sm3: null,
  expiryYymmdd: '351231',
};
const RSA_CA = testCaKey(nodeCiphers, RSA.ca);
const TABLE = loadCaPublicKeys(nodeCiphers, [RSA_CA, SM_CA]);
const SM_TERMINAL: Partial<TerminalProfile> = { caPublicKeys: TABLE, supportsSmAlgorithms: true };
const AIP_DDA = '7C00';

/** What the test card's records say under the signature: its one signed record, then the AIP. */
function staticDataOf(aip: string): Uint8Array {
  // The case below asks for no CVM, and so must the records signed here.
  const elements = { '8E': '00000000000000001F00' };
  const read = testCard(nodeCiphers, RSA, { aip, elements });
  const record = read({ cla: 0, ins: 0xb2, p1: 1, p2: 0x14, le: 256 }, 0).data;
  return concatBytes(decodeTlv(record)[0]?.value ?? new Uint8Array(0), fromHex(aip));
}

type Override = NonNullable<TestCardOptions['override']>;

type SmChange = {
  readonly aip?: string;
  readonly index?: number;
  readonly issuerIdentifier?: string;
  readonly issuerExpiryMmyy?: string;
  readonly iccPan?: string;
  readonly forged?: Readonly<Record<string, string | null>>;
  readonly pdol?: string;
};

/** The test card with an SM2 chain in place of its RSA one. */
function smCard(change: SmChange = {}): TestCardOptions {
  const { aip = AIP_DDA, pdol = '9F0206DF6901' } = change;
  const staticData = staticDataOf(aip);
  const serialNumber = fromHex('000001');
  const issuer = issueSmIssuerCertificate(nodeCiphers, {
    caPrivateKey: SM.ca.privateKey,
    publicKey: SM.issuer.publicKey,
    issuerIdentifier: change.issuerIdentifier ?? '629999',
    expiryMmyy: change.issuerExpiryMmyy ?? '1235',
    serialNumber,
    random,
  });
  const issuerPrivateKey = SM.issuer.privateKey;
  const icc = issueSmIccCertificate(nodeCiphers, {
    issuerPrivateKey,
    publicKey: SM.icc.publicKey,
    pan: change.iccPan ?? TEST_PAN,
    expiryMmyy: '1231',
    serialNumber,
    staticData,
    random,
  });
  const dataAuthenticationCode = fromHex('DAC2');
  const ssad = signSmStaticData(nodeCiphers, {
    issuerPrivateKey,
    dataAuthenticationCode,
    staticData,
    random,
  });
  const forged = {
    '8F': toHex(Uint8Array.of(change.index ?? SM_CA.index)),
    '90': toHex(issuer),
    '92': null,
    '9F32': null,
    '93': toHex(ssad),
    '9F46': toHex(icc),
    '9F47': null,
    '9F48': null,
    ...change.forged,
  };
  return { aip, pdol, forged, override: smDynamic() };
}

function smDynamic(iccDynamicData = '081122334455667788'): Override {
  return ({ ins, data: terminalData = new Uint8Array(0) }) => {
    if (ins !== 0x88) return undefined;
    const signature = signSmDynamicData(nodeCiphers, {
      privateKey: SM.icc.privateKey,
      iccDynamicData: fromHex(iccDynamicData),
      terminalData,
      random,
    });
    return answer(toHex(encodeTlv('80', signature)));
  };
}

function run(card: TestCardOptions, change: TestCase['change'] = {}): CaseRun {
  const terminal = { ...SM_TERMINAL, ...change.terminal };
  return runCase({ ciphers: nodeCiphers, keys: RSA }, { card, change: { ...change, terminal } });
}

function authenticate(card: TestCardOptions, change: TestCase['change'] = {}) {
  const { phases, outcome, commands } = run(card, change);
  const phase = phases.find((notice) => notice.phase === 'offlineDataAuthentication');
  const gpo = commands.find(({ ins }) => ins === 0xa8);
  return {
    facts: phase?.facts ?? {},
    tvr: toHex(phase?.tvr ?? new Uint8Array(0)),
    tsi: toHex(phase?.tsi ?? new Uint8Array(0)),
    outcome,
    gpo: toHex(gpo?.data ?? new Uint8Array(0)),
  };
}

test('PBOC3 P17: DF69 tells the card whether the terminal takes SM algorithms', () => {
  assert.equal(authenticate(smCard()).gpo, '830700000000123401');
  const without = authenticate(smCard(), { terminal: { supportsSmAlgorithms: false } });
  assert.equal(without.gpo, '830700000000123400');
});

test('PBOC3 P17: DDA with the SM2 chain, its number kept', () => {
  const { facts, tvr, tsi, outcome } = authenticate(smCard());
  assert.deepEqual(facts, { method: 'DDA', result: 'passed' });
  assert.deepEqual([tvr, tsi], ['0000000000', '8000']);
  assert.equal(toHex(outcome.values.get('9F4C') ?? new Uint8Array(0)), '1122334455667788');
});

test('PBOC3 P17: SDA with the SM2 chain, its code kept', () => {
  const { facts, tvr, outcome } = authenticate(smCard({ aip: '5C00' }));
  assert.deepEqual(facts, { method: 'SDA', result: 'passed' });
  assert.equal(tvr, '0200000000');
  assert.equal(toHex(outcome.values.get('9F45') ?? new Uint8Array(0)), 'DAC2');
});

test('PBOC3 P17: CDA with the SM2 chain, transaction hash of SM3', () => {
  const signer: DynamicSigner = {
    hash: (transactionData) => nodeCiphers.sm3(transactionData),
    sign: (iccDynamicData, terminalData) =>
      signSmDynamicData(nodeCiphers, {
        privateKey: SM.icc.privateKey,
        iccDynamicData,
        terminalData,
        random,
      }),
  };
  const terminal = { capabilities: fromHex('E068C8') };
  const card = { ...smCard({ aip: '7D00' }), override: combinedCard(signer) };
  const right = run(card, { terminal });
  assert.deepEqual(right.word, ['approved', 'issuer:00']);
  assert.equal(right.outcome.dataAuthentication, 'CDA');
  const sha1 = { ...signer, hash: (bytes: Uint8Array) => nodeCiphers.sha1(bytes) };
  const wrong = run({ ...smCard({ aip: '7D00' }), override: combinedCard(sha1) }, { terminal });
  assert.deepEqual(wrong.word, ['declined', 'terminal:CDA']);
  assert.equal(wrong.tvr, '0400008000');
});

test('PBOC3 P17: the same TVR bit as with RSA for everything that is wrong', () => {
  const other = sm2KeyPair(random);
  const foreign = loadCaPublicKeys(nodeCiphers, [{ ...SM_CA, publicKey: other.publicKey }]);
  const expired = loadCaPublicKeys(nodeCiphers, [{ ...SM_CA, expiryYymmdd: '261130' }]);
  const cases: readonly (readonly [string, string, TestCardOptions, Partial<TerminalProfile>?])[] =
    [
      ['issuerCertificate:signature', '08', smCard(), { caPublicKeys: foreign }],
      ['issuerCertificate:issuerIdentifier', '08', smCard({ issuerIdentifier: '629998' })],
      ['issuerCertificate:expired', '08', smCard({ issuerExpiryMmyy: '1126' })],
      ['issuerCertificate:format', '08', smCard({ forged: { '90': `14${'00'.repeat(141)}` } })],
      ['issuerCertificate:length', '08', smCard({ forged: { '90': '12' } })],
      ['iccCertificate:pan', '08', smCard({ iccPan: '6299990000000017' })],
      ['iccCertificate:signature', '08', smCard({ forged: { '5F24': '351231' } })],
      ['iccCertificate:length', '08', smCard({ forged: { '9F46': '14' } })],
      ['missing:9F46', '28', smCard({ forged: { '9F46': null } })],
      ['missing:90', '28', smCard({ forged: { '90': null } })],
      ['caKey:missing', '08', smCard({ index: 0x19 })],
      ['caKey:expired', '08', smCard(), { caPublicKeys: expired }],
      ['caKey:missing', '08', smCard(), { supportsSmAlgorithms: false }],
      ['signedDynamicData:format', '08', { ...smCard(), override: rsaLike }],
    ];
  for (const [why, first, card, terminal = {}] of cases) {
    const { facts, tvr, tsi, outcome } = authenticate(card, { terminal });
    assert.equal(facts['why'], why);
    assert.deepEqual([tvr, tsi], [`${first}00000000`, '8000'], why);
    assert.equal(outcome.dataAuthentication, 'failed');
  }
});

const rsaLike: Override = ({ ins }) =>
  ins === 0x88 ? answer(`808180${'6A'.repeat(128)}`) : undefined;

test('a forged static signature fails SDA; PBOC3 P17', () => {
  const forged = { '93': `13DAC2${'11'.repeat(64)}` };
  const { facts, tvr } = authenticate(smCard({ aip: '5C00', forged }));
  assert.equal(facts['why'], 'signedStaticData:signature');
  assert.equal(tvr, '4200000000');
});

test('an RSA and an SM2 key under one index: the certificate says which chain the card has', () => {
  const both = loadCaPublicKeys(nodeCiphers, [RSA_CA, { ...SM_CA, index: TEST_CA_INDEX }]);
  const terminal = { caPublicKeys: both };
  const sm = authenticate(smCard({ index: TEST_CA_INDEX }), { terminal });
  assert.equal(sm.facts['result'], 'passed');
  const rsa = authenticate({}, { terminal });
  assert.equal(rsa.facts['result'], 'passed');
});

test('an SM2 certificate under an RSA key is clear data: no recovery is tried', () => {
  const { facts } = authenticate(smCard({ index: TEST_CA_INDEX }));
  assert.equal(facts['why'], 'issuerCertificate:keyAlgorithm');
});

test('EMV 4.3 B2 §5.1.2, §5.3 step 10: a revoked issuer certificate fails, its neighbours do not', () => {
  const row: CertificateRevocation = {
    rid: RID,
    caIndex: SM_CA.index,
    serialNumber: fromHex('000001'),
  };
  const rsaRow = { ...row, caIndex: TEST_CA_INDEX };
  const withRows = (...rows: readonly CertificateRevocation[]) => ({
    terminal: { revokedCertificates: rows },
  });
  const revoked = authenticate(smCard(), withRows(rsaRow, row));
  assert.equal(revoked.facts['why'], 'issuerCertificate:revoked');
  assert.equal(revoked.tvr, '0800000000');
  const rsa = authenticate({}, withRows(row, rsaRow));
  assert.equal(rsa.facts['why'], 'issuerCertificate:revoked');
  assert.equal(rsa.tvr, '0800000000');
  for (const other of [
    { ...row, caIndex: 0x17 },
    { ...row, serialNumber: fromHex('000002') },
    { ...row, rid: fromHex('A000000003') },
  ]) {
    assert.equal(authenticate(smCard(), withRows(other)).facts['result'], 'passed');
  }
});

test('PBOC3 P17: CA points are checked when loaded: on the curve, and by SM3 where it is given', () => {
  const refused = { code: 'ERR_KERNEL_CA_KEY' };
  const input = concatBytes(RID, Uint8Array.of(SM_CA.index), SM_CA.publicKey);
  const sm3 = nodeCiphers.sm3(input);
  const load = (...keys: readonly SmCaPublicKey[]) => loadCaPublicKeys(nodeCiphers, keys);
  assert.deepEqual(load({ ...SM_CA, sm3 }).findSm?.(RID, SM_CA.index)?.sm3, sm3);
  assert.throws(() => load({ ...SM_CA, sm3: new Uint8Array(32) }), refused);
  assert.throws(() => load({ ...SM_CA, publicKey: new Uint8Array(64) }), refused);
  assert.throws(() => load({ ...SM_CA, rid: RID.slice(1) }), refused);
  assert.throws(() => load(SM_CA, SM_CA), refused);
});
