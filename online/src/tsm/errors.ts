/** Coded faults of the manager: one table with HTTP status and text for people of each code. */
import { type ErrorData, TapError } from '@tapnpay/protocol/bytes';

/** Both languages. */
export type BothTexts = { readonly en: string; readonly zh: string };
type Entry = BothTexts & { readonly status: number };

/** Every code this folder throws. */
export type TsmErrorCode =
  | 'ERR_REQUEST'
  | 'ERR_UNAUTHORIZED'
  | 'ERR_ROLE'
  | 'ERR_NOT_FOUND'
  | 'ERR_TSM_ELEMENT_UNKNOWN'
  | 'ERR_TSM_EXISTS'
  | 'ERR_TSM_CONFLICT'
  | 'ERR_TSM_ELEMENT_STATE'
  | 'ERR_TSM_JOB_STATE'
  | 'ERR_TSM_VERSION_STATE'
  | 'ERR_TSM_CHECKS'
  | 'ERR_TSM_OWN_REVIEW'
  | 'ERR_TSM_NO_RELEASE'
  | 'ERR_TSM_REVOKED'
  | 'ERR_TSM_PACKAGE'
  | 'ERR_TSM_CONTACT'
  | 'ERR_TSM_CONTACT_REPLAY'
  | 'ERR_TSM_ATTESTATION'
  | 'ERR_TSM_CARD_CRYPTOGRAM'
  | 'ERR_TSM_OTHER_ELEMENT'
  | 'ERR_TSM_STATUS'
  | 'ERR_TSM_ANSWER'
  | 'ERR_TSM_NOT_CONVERGED'
  | 'ERR_TSM_ATTEMPTS'
  | 'ERR_TSM_SCRIPT'
  | 'ERR_TSM_HSM'
  | 'ERR_TSM_PERSONALISATION'
  | 'ERR_LIMIT'
  | 'ERR_BODY_TOO_LARGE'
  | 'ERR_INTERNAL';

/** Code -> HTTP status and texts. */
export const TSM_ERRORS: Readonly<Record<TsmErrorCode, Entry>> = {
  ERR_REQUEST: { status: 400, en: 'The request is not right.', zh: '请求内容有误。' },
  ERR_UNAUTHORIZED: {
    status: 401,
    en: 'No key, or one that is unknown.',
    zh: '缺少密钥或密钥无效。',
  },
  ERR_ROLE: { status: 403, en: 'This key may not do that.', zh: '该密钥没有此权限。' },
  ERR_NOT_FOUND: { status: 404, en: 'There is no such thing.', zh: '对象不存在。' },
  ERR_TSM_ELEMENT_UNKNOWN: {
    status: 404,
    en: 'No element of this serial is on the list.',
    zh: '该序列号不在允许名单中。',
  },
  ERR_TSM_EXISTS: { status: 409, en: 'It is there already.', zh: '已存在。' },
  ERR_TSM_CONFLICT: {
    status: 409,
    en: 'Somebody else changed it meanwhile.',
    zh: '已被他人修改，请重试。',
  },
  ERR_TSM_ELEMENT_STATE: {
    status: 409,
    en: 'The element is in no state for that.',
    zh: '安全单元当前状态不允许此操作。',
  },
  ERR_TSM_JOB_STATE: { status: 409, en: 'The job has ended.', zh: '任务已结束。' },
  ERR_TSM_VERSION_STATE: {
    status: 409,
    en: 'The version is in no state for that.',
    zh: '应用版本当前状态不允许此操作。',
  },
  ERR_TSM_CHECKS: {
    status: 422,
    en: 'The package did not pass the checks.',
    zh: '应用包未通过检查。',
  },
  ERR_TSM_OWN_REVIEW: {
    status: 403,
    en: 'Who uploaded a version does not review it.',
    zh: '上传者不得审核自己的版本。',
  },
  ERR_TSM_NO_RELEASE: {
    status: 409,
    en: 'No version of the application is released.',
    zh: '该应用没有已发布的版本。',
  },
  ERR_TSM_REVOKED: { status: 409, en: 'The version is revoked.', zh: '该版本已被吊销。' },
  ERR_TSM_PACKAGE: {
    status: 500,
    en: 'The package is not the one that was certified.',
    zh: '应用包与认证时不一致。',
  },
  ERR_TSM_CONTACT: {
    status: 409,
    en: 'No such contact; begin a new one.',
    zh: '联络已失效，请重新开始。',
  },
  ERR_TSM_CONTACT_REPLAY: {
    status: 409,
    en: 'These answers came before.',
    zh: '应答重复或乱序。',
  },
  ERR_TSM_ATTESTATION: {
    status: 403,
    en: "The element's signature is wrong.",
    zh: '安全单元签名错误。',
  },
  ERR_TSM_CARD_CRYPTOGRAM: {
    status: 409,
    en: 'No known key set explains the proof of the element; nothing was sent that it would count.',
    zh: '没有密钥能解释安全单元的密文；未发送任何会被计数的命令。',
  },
  ERR_TSM_OTHER_ELEMENT: {
    status: 409,
    en: 'Another element answers.',
    zh: '应答的是另一个安全单元。',
  },
  ERR_TSM_STATUS: {
    status: 409,
    en: 'The element refused a command.',
    zh: '安全单元拒绝了命令。',
  },
  ERR_TSM_ANSWER: {
    status: 409,
    en: 'The answer of the element is wrong.',
    zh: '安全单元应答有误。',
  },
  ERR_TSM_NOT_CONVERGED: {
    status: 409,
    en: 'The element does not become what is wanted.',
    zh: '安全单元未达到目标状态。',
  },
  ERR_TSM_ATTEMPTS: { status: 409, en: 'The job was cut too often.', zh: '任务中断次数过多。' },
  ERR_TSM_SCRIPT: { status: 409, en: 'No such script can be made.', zh: '无法生成该脚本。' },
  ERR_TSM_HSM: { status: 503, en: 'The HSM does not answer.', zh: '加密机无应答。' },
  ERR_TSM_PERSONALISATION: {
    status: 503,
    en: 'The data of the application cannot be had now.',
    zh: '暂时无法取得个人化数据。',
  },
  ERR_LIMIT: { status: 429, en: 'A limit is reached.', zh: '超出限制。' },
  ERR_BODY_TOO_LARGE: { status: 413, en: 'The request is too long.', zh: '请求过长。' },
  ERR_INTERNAL: { status: 500, en: 'Internal fault.', zh: '内部错误。' },
};

/** A refused request, or a job that an element did not let go on. */
export class TsmError extends TapError<TsmErrorCode> {
  constructor(code: TsmErrorCode, message: string, data: ErrorData = {}, cause?: unknown) {
    super(code, message, data, cause);
  }
}

/** HTTP status of a code. */
export function httpStatusOf(code: TsmErrorCode): number {
  return TSM_ERRORS[code].status;
}
