/** Coded refusals of settlement, risk and reconciliation, as rows of the gateway's one table. */

/** Code -> status and texts. */
export const SETTLEMENT_ERRORS = {
  ERR_SETTLEMENT_DAY: {
    status: 409,
    text: {
      en: 'This settlement day cannot be closed now.',
      zh: '该清算日目前不能关闭。',
    },
    remedy: {
      en: 'Close days in their order, each after its cut-off at 23:00 in Shanghai.',
      zh: '请按顺序关闭，且须在上海时间 23:00 日切之后。',
    },
  },
  ERR_SETTLEMENT_BUSY: {
    status: 503,
    text: {
      en: 'Payments of the day are still being written.',
      zh: '该清算日的支付仍在写入。',
    },
    remedy: { en: 'Close the day a little later.', zh: '请稍后再关闭该清算日。' },
  },
  ERR_SETTLEMENT_FILE: {
    status: 422,
    text: {
      en: 'A file of the settlement day is not what it says, or differs from the books.',
      zh: '清算文件内容与其声明或账簿不符。',
    },
    remedy: {
      en: 'Get the file again from whoever made it; move a wrong copy away.',
      zh: '请重新获取文件，并移走错误的副本。',
    },
  },
  ERR_SETTLEMENT_NOT_FOUND: {
    status: 404,
    text: {
      en: 'Nothing was settled for this merchant on that day.',
      zh: '该商户当日没有清算记录。',
    },
    remedy: {
      en: 'Check the day (YYYYMMDD of Shanghai); it is closed a while after 23:00.',
      zh: '请检查日期（上海时间 YYYYMMDD），日切 23:00 后稍迟才关闭。',
    },
  },
  ERR_RISK_REFUSED: {
    status: 403,
    text: {
      en: 'The payment was refused by a risk rule of the gateway; nothing was sent.',
      zh: '支付被网关风控规则拒绝，未发送任何请求。',
    },
    remedy: {
      en: 'Pay in another way, or ask the operator with the decision id.',
      zh: '请更换支付方式，或凭决定编号联系运营方。',
    },
  },
  ERR_RISK_RULES: {
    status: 500,
    text: { en: 'The file of risk rules is wrong.', zh: '风控规则文件有误。' },
    remedy: {
      en: 'Correct the field that the message names in gateway/risk.json.',
      zh: '请更正 gateway/risk.json 中所指字段。',
    },
  },
  ERR_WORK_ITEM_NOT_FOUND: {
    status: 404,
    text: { en: 'There is no such open work item.', zh: '没有该未结工单。' },
    remedy: { en: 'List the open ones.', zh: '请查询未结工单列表。' },
  },
} as const;
