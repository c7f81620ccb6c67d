/** HSM commands of a trace: what each does, in a sentence, and its arguments and results. */
import { fromHex } from '@tapnpay/protocol/bytes';
import { AC_INPUT_CVN_01, AC_INPUT_CVN_01_BYTES } from '@tapnpay/protocol/emv/data';
import type { HsmCommand, TraceEvent, TraceField, TwoLanguages } from '@tapnpay/protocol/wire';
import { cvrMeanings } from './bits.ts';
import { field, two } from './field.ts';
import { bytesOf, isMaskedHex, lengthOf } from './masked-hex.ts';
import { elementField, type ValueContext } from './tlv.ts';

const SENTENCES: Readonly<Record<HsmCommand, TwoLanguages>> = {
  status: two('Says whose HSM it is and under which master key', '报告所属机构与主密钥校验值'),
  forgetKeys: two('Wipes the keys that the HSM has open', '清除加密机内缓存的密钥'),
  formKey: two('Makes a key of its components', '由分量合成密钥'),
  generateKey: two('Makes a new key, enciphered for a partner', '生成新密钥并为对方加密'),
  importKey: two('Takes a key that a partner has enciphered', '导入对方加密的密钥'),
  generateMac: two(
    'Makes the MAC of a message: nobody can change a field unseen',
    '为报文生成 MAC，任何改动都会被发现',
  ),
  verifyMac: two(
    'Checks the MAC of a message: it comes from the partner, unchanged',
    '验证报文 MAC，确认来自对方且未被改动',
  ),
  translatePin: two(
    'Deciphers the PIN block inside and enciphers it for the next hop; no PIN leaves the HSM',
    '在加密机内把 PIN 块转换到下一段线路的密钥下，PIN 明文不出加密机',
  ),
  verifyPin: two(
    "Compares the PIN with the card's verification value inside the HSM",
    '在加密机内用 PVV 核对 PIN',
  ),
  generatePvv: two(
    'Makes the verification value of a PIN that the customer chose',
    '为客户设定的 PIN 生成 PVV',
  ),
  generatePin: two('Makes a random PIN that nobody sees', '生成随机 PIN，明文不出加密机'),
  verifyArqc: two(
    "Derives the card's key and makes the cryptogram again: only this card can have made it",
    '分散出卡片密钥并重算应用密文：只有这张卡能产生它',
  ),
  verifyToken: two(
    "Makes the cryptograms of a window of counters again: the token is one of this card's",
    '重算计数器窗口内的应用密文：动态令牌由这张卡产生',
  ),
  generateArpc: two(
    "Makes the issuer's answer that the card itself will check",
    '生成授权响应密文 ARPC，由卡片验证',
  ),
  generateScriptMac: two('Makes the MAC of a command for the card', '为发卡行脚本命令生成 MAC'),
  generatePinChange: two(
    "Enciphers a new PIN for the card's own ears",
    '为卡片加密新 PIN（改密脚本数据）',
  ),
  verifyEcBalance: two(
    'Checks that the card itself vouches for its e-cash balance',
    '核对卡片对电子现金余额的 MAC',
  ),
  exportInitialKey: two("Makes an element's initial PIN key", '为安全单元导出初始 PIN 密钥'),
  personaliseCard: two('Makes the keys and certificates of a card', '生成卡片的密钥与证书'),
  generateElementMaster: two("Makes a master for elements' keys", '生成安全单元主密钥'),
  elementKeyCheckValues: two("Tells check values of an element's keys", '给出安全单元密钥校验值'),
  openElementSession: two(
    "Checks an element's proof, then opens a session with it",
    '先核对安全单元的密文，再打开安全通道',
  ),
  openElementScript: two('Prepares a session for an element that is away', '为离线单元预计算会话'),
  verifyElementAnswer: two('Checks whose answer a script got', '核对脚本应答来自哪个单元'),
  wrapElementCommands: two('Protects commands for an element', '为安全单元命令加保护'),
  unwrapElementAnswers: two("Checks and opens an element's answers", '核对并解开安全单元应答'),
  putElementKeys: two('Enciphers a key set for an element', '为安全单元加密一组密钥'),
  storeElementData: two('Enciphers personal data for an element', '为安全单元加密个人化数据'),
  signLoadFile: two('Signs a load file for its release', '为放行的加载文件签名'),
  loadFileVerificationKey: two('Tells the key that verifies load files', '给出加载文件验签公钥'),
  exportFactoryKeys: two('Seals factory keys to a new element', '为新单元封装出厂密钥'),
};
const UNKNOWN = two('HSM command', '加密机命令');

const NAMES: Readonly<Record<string, TwoLanguages>> = {
  key: two('Key', '密钥'),
  toKey: two('Key of the next hop', '下一段线路的密钥'),
  pinKey: two('PIN key of the line', '线路 PIN 密钥'),
  pvk: two('PIN verification key', 'PIN 验证密钥'),
  pvki: two('PIN verification key index', 'PIN 验证密钥索引'),
  pvv: two('PIN verification value', 'PIN 验证值'),
  imkAc: two('Issuer master key for cryptograms', '发卡行应用密文主密钥'),
  imkMac: two('Issuer master key for script MACs', '发卡行脚本 MAC 主密钥'),
  imkEnc: two('Issuer master key for script encipherment', '发卡行脚本加密主密钥'),
  baseKey: two('Base derivation key', '基础分散密钥'),
  under: two('Enciphered under', '加密所用密钥'),
  keyBlock: two('Key block', '密钥块'),
  kcv: two('Key check value', '密钥校验值'),
  format: two('PIN block format (ISO 9564-1)', 'PIN 块格式（ISO 9564-1）'),
  ksn: two('Key serial number (DUKPT)', '密钥序列号（DUKPT）'),
  pan: two('Primary account number', '主账号'),
  panSequenceNumber: two('PAN sequence number', '主账号序列号'),
  pinBlock: two('PIN block', 'PIN 块'),
  data: two('Data', '数据'),
  mac: two('Message authentication code', '报文鉴别码'),
  valid: two('Valid', '有效'),
  atc: two('Application transaction counter', '应用交易计数器'),
  arqc: two('Cryptogram of the card', '应用密文 ARQC'),
  arc: two('Authorisation response code', '授权响应码'),
  arpc: two('Cryptogram of the issuer', '授权响应密文 ARPC'),
  header: two('Header of the command', '命令头'),
  error: two('Refused with', '拒绝代码'),
};

/** @see X9.143 (key usage) */
const USAGES: Readonly<Record<string, TwoLanguages>> = {
  B0: two('base derivation key', '基础分散密钥'),
  E0: two('EMV master key, cryptograms', 'EMV 主密钥：应用密文'),
  E1: two('EMV master key, confidentiality', 'EMV 主密钥：机密性'),
  E2: two('EMV master key, integrity', 'EMV 主密钥：完整性'),
  K0: two('zone master key', '区域主密钥'),
  M1: two('MAC key, ISO 9797-1 algorithm 1', 'MAC 密钥：ISO 9797-1 算法 1'),
  M3: two('MAC key, ISO 9797-1 algorithm 3', 'MAC 密钥：ISO 9797-1 算法 3'),
  P0: two('PIN key', 'PIN 密钥'),
  V2: two('PIN verification key', 'PIN 验证密钥'),
};
const ALGORITHMS: Readonly<Record<string, string>> = { T: '3DES', A: 'AES' };

/** What a command does. */
export function hsmSentence(command: string): TwoLanguages {
  return Object.hasOwn(SENTENCES, command) ? SENTENCES[command as HsmCommand] : UNKNOWN;
}

/** Arguments, then results. */
export function hsmFields(event: TraceEvent, context: ValueContext): readonly TraceField[] {
  const rows = Object.entries(event.data);
  const ofSide = (side: string): readonly TraceField[] =>
    rows
      .filter(([path]) => path.startsWith(`${side}.`))
      .map(([path, value]) => valueField(path.slice(side.length + 1), value, context));
  const { error } = event.data;
  const refused = error === undefined ? [] : [valueField('error', error, context)];
  const sides: readonly TraceField[] = [
    field('in', two('Arguments', '输入'), { children: ofSide('in') }),
    field('out', two('Result', '输出'), { children: [...ofSide('out'), ...refused] }),
  ];
  return sides.filter(({ children }) => children.length > 0);
}

function valueField(
  path: string,
  value: string | number | boolean | null,
  context: ValueContext,
): TraceField {
  const name = path.slice(path.lastIndexOf('.') + 1);
  const text = String(value);
  const known = NAMES[name] ?? two(name, name);
  if (name === 'valid') {
    const verdict = value === true ? two('yes', '是') : two('no', '否');
    return field(path, known, { value: text, meanings: [verdict] });
  }
  const children = name === 'data' ? cryptogramInput(text, context) : [];
  return field(path, known, { value: text, meanings: keyBlockMeanings(text), children });
}

/** A key block's header: usage in characters 6-7, algorithm in the 8th. @see X9.143 */
function keyBlockMeanings(text: string): readonly TwoLanguages[] {
  const header = /^D[0-9]{4}([A-Z][0-9])([TA])/.exec(text);
  const usage = header ? USAGES[header[1] ?? ''] : undefined;
  if (!usage) return [];
  const algorithm = ALGORITHMS[header?.[2] ?? ''] ?? '';
  return [two(`${algorithm} ${usage.en}`, `${algorithm} ${usage.zh}`)];
}

const CVR_BYTES = 4;
/** Amount, unpredictable number, counter, and one byte of the CVR. @see PBOC3 P12 (CVN 17) */
const AC_INPUT_CVN_17: readonly { readonly tag: string; readonly lengthBytes: number }[] = [
  { tag: '9F02', lengthBytes: 6 },
  { tag: '9F37', lengthBytes: 4 },
  { tag: '9F36', lengthBytes: 2 },
];
const AC_INPUT_CVN_17_BYTES = 13;

/** What the cryptogram covers, by its length; other data has no parts. */
function cryptogramInput(text: string, context: ValueContext): readonly TraceField[] {
  if (!isMaskedHex(text) || text.includes('*')) return [];
  const lengthBytes = lengthOf(text);
  if (lengthBytes === AC_INPUT_CVN_17_BYTES) return inputParts(text, AC_INPUT_CVN_17, context);
  if (lengthBytes === AC_INPUT_CVN_01_BYTES) return inputParts(text, AC_INPUT_CVN_01, context);
  return [];
}

function inputParts(
  text: string,
  entries: readonly { readonly tag: string; readonly lengthBytes: number }[],
  context: ValueContext,
): readonly TraceField[] {
  let offset = 0;
  const fields = entries.map(({ tag, lengthBytes }) => {
    const value = bytesOf(text, offset, offset + lengthBytes);
    offset += lengthBytes;
    return elementField({ tag, value }, context);
  });
  const cvr = bytesOf(text, offset);
  const name = two('Card verification results', '卡片验证结果');
  const meanings = lengthOf(cvr) === CVR_BYTES ? cvrMeanings(fromHex(cvr)) : [];
  return [...fields, field('CVR', name, { value: cvr, meanings })];
}
