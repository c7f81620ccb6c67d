/** Coded faults about payment applications and what they attest. */
/** Code -> status and texts. */
export const ELEMENT_ERRORS = {
  APP_LOCKED: {
    status: 403,
    text: { en: 'The payment application is locked.', zh: '支付应用已锁定。' },
    remedy: { en: 'Ask the operator.', zh: '请联系运营方。' },
  },
  PARAMS_OUTDATED: {
    status: 409,
    text: {
      en: 'The parameters of the payment application are out of date.',
      zh: '支付应用的参数已过期。',
    },
    remedy: { en: 'Fetch the new set and pay again.', zh: '请获取新参数后重新支付。' },
  },
  ERR_LOAD_FILE_UNKNOWN: {
    status: 403,
    text: {
      en: 'The payment application is no code of this installation.',
      zh: '支付应用的程序未经本系统认可。',
    },
    remedy: { en: 'Install the released application.', zh: '请安装正式发布的应用。' },
  },
  ERR_LOAD_FILE_REVOKED: {
    status: 403,
    text: {
      en: 'This release of the payment application was revoked.',
      zh: '该版本的支付应用已被吊销。',
    },
    remedy: { en: 'Update the application.', zh: '请更新应用。' },
  },
  ERR_ELEMENT_CLONED: {
    status: 403,
    text: {
      en: 'The element is a copy or was set back; it is locked.',
      zh: '安全单元为副本或已被回滚，现已锁定。',
    },
    remedy: {
      en: 'Enrol again; the operator lifts the lock.',
      zh: '请重新注册，由运营方解除锁定。',
    },
  },
  ERR_PAYMENT_REPEATED: {
    status: 409,
    text: { en: 'This payment was received before.', zh: '该支付此前已收到。' },
    remedy: { en: 'Read the order.', zh: '请查询订单。' },
  },
  ERR_ELEMENT_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such element.', zh: '安全单元不存在。' },
    remedy: { en: 'Check the element id.', zh: '请检查安全单元编号。' },
  },
  ERR_LOAD_FILE_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such load file.', zh: '装载文件不存在。' },
    remedy: { en: 'Check the hash.', zh: '请检查哈希值。' },
  },
  ERR_ATTESTATION_NOT_FOUND: {
    status: 404,
    text: { en: 'The payment has no attestation.', zh: '该支付没有安全单元证明。' },
    remedy: {
      en: 'It was made before elements attested, or there is no such payment.',
      zh: '该支付早于证明机制，或支付不存在。',
    },
  },
  ERR_PARAMETERS_VERSION: {
    status: 409,
    text: { en: 'Another set was published meanwhile.', zh: '其间已发布其他参数集。' },
    remedy: { en: 'Read the newest set and publish again.', zh: '请读取最新参数集后重新发布。' },
  },
} as const;
