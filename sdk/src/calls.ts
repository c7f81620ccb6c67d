/** Calls of the merchant API v1: made of docs/openapi.json, not by hand. */
import type { CallOptions, OperationFacts } from './client.ts';
import type {
  AmountRequest,
  ApiKey,
  ApiKeyRequest,
  AuditRecord,
  ClosedWorkItem,
  Delivery,
  Element,
  EnrolmentRequest,
  LoadFile,
  Merchant,
  MerchantRequest,
  NewApiKey,
  NewWebhookEndpoint,
  NoteRequest,
  Operation,
  Order,
  OrderRequest,
  ParameterContent,
  Payment,
  PaymentBalance,
  PaymentEvidence,
  PaymentRow,
  PublishedParameters,
  RiskRefusal,
  Settlement,
  SettlementDay,
  WebhookEndpoint,
  WholeDelivery,
  WorkItem,
} from './types.ts';

/** Every call; `createClient` makes one. Errors are `ApiError` or `NoAnswerError`. */
export type Api = {
  /** Make an order 创建订单. */
  createOrder(input: { readonly body: OrderRequest } & CallOptions): Promise<Order>;
  /** List orders, newest first 订单列表（新的在前）. */
  listOrders(
    input?: {
      readonly query?: {
        readonly limit?: number;
        readonly cursor?: string;
        readonly createdFromMs?: number;
        readonly createdToMs?: number;
        readonly merchantOrderNumber?: string;
        readonly status?:
          | 'open'
          | 'processing'
          | 'authorised'
          | 'paid'
          | 'voided'
          | 'unknown'
          | 'cancelled'
          | 'expired';
      };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly Order[];
    readonly nextCursor: string | null;
  }>;
  /** Read an order 查询订单. */
  getOrder(input: { readonly path: { readonly orderId: string } } & CallOptions): Promise<Order>;
  /** Close an open order 关闭未支付订单. */
  cancelOrder(input: { readonly path: { readonly orderId: string } } & CallOptions): Promise<Order>;
  /** List payments, newest order first 支付列表（按订单由新到旧）. */
  listPayments(
    input?: {
      readonly query?: {
        readonly limit?: number;
        readonly cursor?: string;
        readonly createdFromMs?: number;
        readonly createdToMs?: number;
        readonly merchantOrderNumber?: string;
        readonly status?:
          | 'sending'
          | 'authorised'
          | 'debitedNotConfirmed'
          | 'held'
          | 'captured'
          | 'voided'
          | 'declined'
          | 'unknown'
          | 'reversing'
          | 'reversed';
        readonly orderId?: string;
      };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly PaymentRow[];
    readonly nextCursor: string | null;
  }>;
  /** Read a payment 查询支付. */
  getPayment(
    input: { readonly path: { readonly paymentId: string } } & CallOptions,
  ): Promise<Payment>;
  /** Capture a held payment 预授权完成. */
  capturePayment(
    input: {
      readonly path: { readonly paymentId: string };
      readonly body: AmountRequest;
    } & CallOptions,
  ): Promise<Operation>;
  /** Void a payment or release a hold 撤销支付或预授权. */
  voidPayment(
    input: {
      readonly path: { readonly paymentId: string };
      readonly body: NoteRequest;
    } & CallOptions,
  ): Promise<Operation>;
  /** Refund a payment, in part or as a whole 全额或部分退款. */
  refundPayment(
    input: {
      readonly path: { readonly paymentId: string };
      readonly body: AmountRequest;
    } & CallOptions,
  ): Promise<Operation>;
  /** Sums and operations of a payment 支付的金额汇总与操作. */
  listOperations(input: { readonly path: { readonly paymentId: string } } & CallOptions): Promise<{
    readonly balance: PaymentBalance;
    readonly data: readonly Operation[];
  }>;
  /** Read a capture, void or refund 查询操作. */
  getOperation(
    input: { readonly path: { readonly operationId: string } } & CallOptions,
  ): Promise<Operation>;
  /** What became of it? 结果查询. */
  inquire(
    input: {
      readonly path: {
        readonly subject: 'orders' | 'payments' | 'operations';
        readonly id: string;
      };
    } & CallOptions,
  ): Promise<{
    readonly inquiry: 'processed' | 'inProgress' | 'notFound';
  }>;
  /** Open or close a dispute 开启或关闭争议. */
  markDispute(
    input: {
      readonly path: { readonly paymentId: string };
      readonly body: {
        readonly dispute: 'open' | 'closed';
      };
    } & CallOptions,
  ): Promise<PaymentBalance>;
  /** What a person must look at 待人工处理事项. */
  listWorkItems(input?: CallOptions): Promise<{
    readonly data: readonly WorkItem[];
  }>;
  /** Add an endpoint 新增通知端点. */
  createWebhookEndpoint(
    input: {
      readonly body: {
        readonly url: string;
      };
    } & CallOptions,
  ): Promise<NewWebhookEndpoint>;
  /** List endpoints 通知端点列表. */
  listWebhookEndpoints(input?: CallOptions): Promise<{
    readonly data: readonly WebhookEndpoint[];
  }>;
  /** Read an endpoint 查询通知端点. */
  getWebhookEndpoint(
    input: { readonly path: { readonly endpointId: string } } & CallOptions,
  ): Promise<WebhookEndpoint>;
  /** Change the secret 更换密钥. */
  rotateWebhookSecret(
    input: {
      readonly path: { readonly endpointId: string };
      readonly body: {
        readonly overlapHours?: number;
      };
    } & CallOptions,
  ): Promise<NewWebhookEndpoint>;
  /** Take an endpoint out of use or back 停用或启用通知端点. */
  switchWebhookEndpoint(
    input: {
      readonly path: { readonly endpointId: string };
      readonly body: {
        readonly status: 'enabled' | 'disabled';
      };
    } & CallOptions,
  ): Promise<WebhookEndpoint>;
  /** Secret of the addresses of orders 订单通知地址的密钥. */
  getOrderSecret(input?: CallOptions): Promise<{
    readonly secret: string;
  }>;
  /** Delivery log, newest first 通知投递记录（新的在前）. */
  listDeliveries(
    input?: {
      readonly query?: {
        readonly limit?: number;
        readonly cursor?: string;
        readonly paymentId?: string;
        readonly status?: 'waiting' | 'delivered' | 'dead';
      };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly Delivery[];
    readonly nextCursor: string | null;
  }>;
  /** A delivery with its failed tries 投递详情与失败记录. */
  getDelivery(
    input: { readonly path: { readonly messageId: string } } & CallOptions,
  ): Promise<WholeDelivery>;
  /** Deliver a notification again 重新投递通知. */
  replayDelivery(
    input: { readonly path: { readonly messageId: string } } & CallOptions,
  ): Promise<Delivery>;
  /** List settlements, newest day first 清算列表（按日倒序）. */
  listSettlements(
    input?: {
      readonly query?: { readonly limit?: number; readonly cursor?: string };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly Settlement[];
    readonly nextCursor: string | null;
  }>;
  /** Read a settlement day 查询清算日. */
  getSettlementDay(
    input: { readonly path: { readonly settlementDate: string } } & CallOptions,
  ): Promise<SettlementDay>;
  /** Payments that a risk rule refused, newest first 风控拒绝记录（倒序）. */
  listRiskRefusals(
    input?: { readonly query?: { readonly limit?: number } } & CallOptions,
  ): Promise<{
    readonly data: readonly RiskRefusal[];
  }>;
  /** Close a work item with a note 附说明关闭工单. */
  closeWorkItem(
    input: {
      readonly path: { readonly itemId: string };
      readonly body: {
        readonly note: string;
      };
    } & CallOptions,
  ): Promise<ClosedWorkItem>;
  /** Make a pairing code for one element 生成一次性配对码. */
  createPairingCode(input?: CallOptions): Promise<{
    readonly code: string;
    readonly expiresAtMs: number;
  }>;
  /** Enrol an element by its pairing code 用配对码注册安全单元. */
  enrolElement(input: { readonly body: EnrolmentRequest } & CallOptions): Promise<{
    readonly certificatePem: string;
    readonly caPem: string;
    readonly orderPublicKeySpki: string;
    readonly initialKeyId: string;
    readonly encipheredInitialKey: string;
    readonly initialKeyKcv: string;
    readonly parameterPublicKeySpki: string;
    readonly parameters: {
      readonly body: string;
      readonly signature: string;
    };
  }>;
  /** List the elements, newest first 安全单元列表（新的在前）. */
  listElements(
    input?: { readonly query?: { readonly state?: 'operable' | 'locked' } } & CallOptions,
  ): Promise<{
    readonly data: readonly Element[];
  }>;
  /** Read an element 查询安全单元. */
  getElement(
    input: { readonly path: { readonly elementId: string } } & CallOptions,
  ): Promise<Element>;
  /** Lock an element: it pays no more 锁定安全单元（不再支付）. */
  lockElement(
    input: {
      readonly path: { readonly elementId: string };
      readonly body: {
        readonly note: string;
      };
    } & CallOptions,
  ): Promise<Element>;
  /** Lift the lock of an element 解除安全单元锁定. */
  unlockElement(
    input: {
      readonly path: { readonly elementId: string };
      readonly body: {
        readonly note: string;
      };
    } & CallOptions,
  ): Promise<Element>;
  /** List the code that payments may come from 认可的装载文件列表. */
  listLoadFiles(input?: CallOptions): Promise<{
    readonly data: readonly LoadFile[];
  }>;
  /** Accept payments of a load file 认可装载文件. */
  acceptLoadFile(
    input: {
      readonly body: {
        readonly hash: string;
        readonly name: string;
      };
    } & CallOptions,
  ): Promise<LoadFile>;
  /** Refuse payments of a load file, for ever 吊销装载文件（永久）. */
  revokeLoadFile(
    input: {
      readonly path: { readonly hash: string };
      readonly body: {
        readonly note: string;
      };
    } & CallOptions,
  ): Promise<LoadFile>;
  /** What payment applications accept: the newest set 受理参数（最新参数集）. */
  getParameters(input?: CallOptions): Promise<PublishedParameters>;
  /** Sign and publish a new set 签发新的参数集. */
  publishParameters(
    input: {
      readonly body: {
        readonly afterVersion: number;
        readonly minimum?: 'unchanged' | 'thisVersion';
        readonly termDays?: number;
        readonly content: ParameterContent;
      };
    } & CallOptions,
  ): Promise<PublishedParameters>;
  /** What proves a payment, for a check offline 支付证据（可离线验证）. */
  getPaymentEvidence(
    input: { readonly path: { readonly paymentId: string } } & CallOptions,
  ): Promise<PaymentEvidence>;
  /** Add a merchant 新增商户. */
  createMerchant(input: { readonly body: MerchantRequest } & CallOptions): Promise<Merchant>;
  /** List the merchants 商户列表. */
  listMerchants(input?: CallOptions): Promise<{
    readonly data: readonly Merchant[];
  }>;
  /** Suspend a merchant: it may still read 停用商户（仍可查询）. */
  suspendMerchant(
    input: { readonly path: { readonly merchantId: string } } & CallOptions,
  ): Promise<Merchant>;
  /** Let a merchant work again 恢复商户. */
  activateMerchant(
    input: { readonly path: { readonly merchantId: string } } & CallOptions,
  ): Promise<Merchant>;
  /** Make an API key 创建 API 密钥. */
  createApiKey(input: { readonly body: ApiKeyRequest } & CallOptions): Promise<NewApiKey>;
  /** List keys: hashes stay inside API 密钥列表（不含密钥）. */
  listApiKeys(
    input?: { readonly query?: { readonly merchantId?: string } } & CallOptions,
  ): Promise<{
    readonly data: readonly ApiKey[];
  }>;
  /** Revoke a key 吊销 API 密钥. */
  revokeApiKey(input: { readonly path: { readonly keyId: string } } & CallOptions): Promise<ApiKey>;
  /** Read the audit log, oldest first 审计日志（旧的在前）. */
  listAuditRecords(
    input?: {
      readonly query?: { readonly afterSeq?: number; readonly limit?: number };
    } & CallOptions,
  ): Promise<{
    readonly data: readonly AuditRecord[];
    readonly nextCursor: string | null;
  }>;
};

/** How each call goes over the wire. */
export const OPERATIONS: Readonly<Record<keyof Api, OperationFacts>> = {
  createOrder: { method: 'POST', path: '/v1/orders', keyed: true, repeatable: true },
  listOrders: { method: 'GET', path: '/v1/orders', keyed: false, repeatable: true },
  getOrder: { method: 'GET', path: '/v1/orders/{orderId}', keyed: false, repeatable: true },
  cancelOrder: {
    method: 'POST',
    path: '/v1/orders/{orderId}/cancel',
    keyed: false,
    repeatable: false,
  },
  listPayments: { method: 'GET', path: '/v1/payments', keyed: false, repeatable: true },
  getPayment: { method: 'GET', path: '/v1/payments/{paymentId}', keyed: false, repeatable: true },
  capturePayment: {
    method: 'POST',
    path: '/v1/payments/{paymentId}/captures',
    keyed: true,
    repeatable: true,
  },
  voidPayment: {
    method: 'POST',
    path: '/v1/payments/{paymentId}/voids',
    keyed: true,
    repeatable: true,
  },
  refundPayment: {
    method: 'POST',
    path: '/v1/payments/{paymentId}/refunds',
    keyed: true,
    repeatable: true,
  },
  listOperations: {
    method: 'GET',
    path: '/v1/payments/{paymentId}/operations',
    keyed: false,
    repeatable: true,
  },
  getOperation: {
    method: 'GET',
    path: '/v1/operations/{operationId}',
    keyed: false,
    repeatable: true,
  },
  inquire: { method: 'GET', path: '/v1/inquiries/{subject}/{id}', keyed: false, repeatable: true },
  markDispute: {
    method: 'POST',
    path: '/v1/payments/{paymentId}/dispute',
    keyed: false,
    repeatable: false,
  },
  listWorkItems: { method: 'GET', path: '/v1/work-items', keyed: false, repeatable: true },
  createWebhookEndpoint: {
    method: 'POST',
    path: '/v1/webhook-endpoints',
    keyed: true,
    repeatable: true,
  },
  listWebhookEndpoints: {
    method: 'GET',
    path: '/v1/webhook-endpoints',
    keyed: false,
    repeatable: true,
  },
  getWebhookEndpoint: {
    method: 'GET',
    path: '/v1/webhook-endpoints/{endpointId}',
    keyed: false,
    repeatable: true,
  },
  rotateWebhookSecret: {
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpointId}/secret',
    keyed: true,
    repeatable: true,
  },
  switchWebhookEndpoint: {
    method: 'POST',
    path: '/v1/webhook-endpoints/{endpointId}/status',
    keyed: false,
    repeatable: false,
  },
  getOrderSecret: { method: 'GET', path: '/v1/webhook-secret', keyed: false, repeatable: true },
  listDeliveries: { method: 'GET', path: '/v1/deliveries', keyed: false, repeatable: true },
  getDelivery: {
    method: 'GET',
    path: '/v1/deliveries/{messageId}',
    keyed: false,
    repeatable: true,
  },
  replayDelivery: {
    method: 'POST',
    path: '/v1/deliveries/{messageId}/replay',
    keyed: false,
    repeatable: false,
  },
  listSettlements: { method: 'GET', path: '/v1/settlements', keyed: false, repeatable: true },
  getSettlementDay: {
    method: 'GET',
    path: '/v1/settlements/{settlementDate}',
    keyed: false,
    repeatable: true,
  },
  listRiskRefusals: { method: 'GET', path: '/v1/risk-refusals', keyed: false, repeatable: true },
  closeWorkItem: {
    method: 'POST',
    path: '/v1/work-items/{itemId}/close',
    keyed: true,
    repeatable: true,
  },
  createPairingCode: { method: 'POST', path: '/v1/pairing-codes', keyed: false, repeatable: false },
  enrolElement: { method: 'POST', path: '/v1/enrolments', keyed: false, repeatable: false },
  listElements: { method: 'GET', path: '/v1/elements', keyed: false, repeatable: true },
  getElement: { method: 'GET', path: '/v1/elements/{elementId}', keyed: false, repeatable: true },
  lockElement: {
    method: 'POST',
    path: '/v1/elements/{elementId}/lock',
    keyed: false,
    repeatable: false,
  },
  unlockElement: {
    method: 'POST',
    path: '/v1/elements/{elementId}/unlock',
    keyed: false,
    repeatable: false,
  },
  listLoadFiles: { method: 'GET', path: '/v1/load-files', keyed: false, repeatable: true },
  acceptLoadFile: { method: 'POST', path: '/v1/load-files', keyed: false, repeatable: false },
  revokeLoadFile: {
    method: 'POST',
    path: '/v1/load-files/{hash}/revoke',
    keyed: false,
    repeatable: false,
  },
  getParameters: { method: 'GET', path: '/v1/parameters', keyed: false, repeatable: true },
  publishParameters: { method: 'POST', path: '/v1/parameters', keyed: false, repeatable: false },
  getPaymentEvidence: {
    method: 'GET',
    path: '/v1/payments/{paymentId}/evidence',
    keyed: false,
    repeatable: true,
  },
  createMerchant: { method: 'POST', path: '/v1/merchants', keyed: true, repeatable: true },
  listMerchants: { method: 'GET', path: '/v1/merchants', keyed: false, repeatable: true },
  suspendMerchant: {
    method: 'POST',
    path: '/v1/merchants/{merchantId}/suspend',
    keyed: false,
    repeatable: false,
  },
  activateMerchant: {
    method: 'POST',
    path: '/v1/merchants/{merchantId}/activate',
    keyed: false,
    repeatable: false,
  },
  createApiKey: { method: 'POST', path: '/v1/api-keys', keyed: false, repeatable: false },
  listApiKeys: { method: 'GET', path: '/v1/api-keys', keyed: false, repeatable: true },
  revokeApiKey: {
    method: 'POST',
    path: '/v1/api-keys/{keyId}/revoke',
    keyed: false,
    repeatable: false,
  },
  listAuditRecords: { method: 'GET', path: '/v1/audit-records', keyed: false, repeatable: true },
};
