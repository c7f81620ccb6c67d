-- The gateway's books. Amounts are minor units, times are milliseconds since 1970.

CREATE TABLE orders (
  order_id text PRIMARY KEY,
  merchant_id text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  merchant_order_number text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 999999999999),
  currency text NOT NULL CHECK (currency ~ '^[0-9]{3}$'),
  origin text NOT NULL,
  notify_url text,
  return_url text,
  status text NOT NULL CHECK
    (status IN ('open', 'processing', 'authorised', 'paid', 'voided', 'unknown', 'cancelled',
                'expired')),
  capture_mode text NOT NULL DEFAULT 'automatic' CHECK (capture_mode IN ('automatic', 'manual')),
  created_at_ms bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  payment_id text,
  fault text,
  idempotency_key text NOT NULL,
  fingerprint text NOT NULL,
  UNIQUE (merchant_id, mode, idempotency_key)
);
CREATE INDEX orders_open ON orders (expires_at_ms) WHERE status = 'open';

CREATE TABLE elements (
  element_id text PRIMARY KEY,
  public_key_spki text NOT NULL,
  certificate_sha256 text NOT NULL,
  initial_key_id text NOT NULL UNIQUE,
  state text NOT NULL CHECK (state IN ('operable', 'locked')),
  last_pin_counter bigint NOT NULL,
  enrolled_at_ms bigint NOT NULL
);

CREATE TABLE pairing_codes (
  code_id text PRIMARY KEY,
  sealed_code text NOT NULL,
  expires_at_ms bigint NOT NULL,
  failures integer NOT NULL
);

-- Blocks of trace numbers; a process takes a block and counts inside it.
CREATE SEQUENCE stan_blocks;

CREATE TABLE payments (
  payment_id text PRIMARY KEY,
  order_id text NOT NULL REFERENCES orders,
  element_id text NOT NULL REFERENCES elements,
  interface text NOT NULL CHECK (interface IN ('contact', 'contactless')),
  state text NOT NULL CHECK (state IN
    ('sending', 'authorised', 'held', 'captured', 'voided', 'declined', 'unknown', 'reversing',
     'reversed')),
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency text NOT NULL,
  pan_masked text NOT NULL,
  card jsonb NOT NULL,
  stan text NOT NULL,
  retrieval_reference text NOT NULL,
  transmission text NOT NULL,
  sealed_original text NOT NULL,
  response_code text,
  approval_code text,
  issuer jsonb,
  second text,
  second_type text,
  tsi text,
  -- Field 15 of the answer, MMDD.
  settlement_date text,
  reason text,
  deadline_ms bigint,
  sequence integer NOT NULL,
  hops jsonb NOT NULL,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  UNIQUE (stan, transmission),
  -- So that it is unique as well, without an index of its own.
  CHECK (right(retrieval_reference, 6) = stan)
);
-- Never two attempts of one order that may both have moved money.
CREATE UNIQUE INDEX payments_one_live ON payments (order_id)
  WHERE state IN ('sending', 'authorised', 'held', 'captured', 'unknown', 'reversing');
CREATE INDEX payments_unfinished ON payments (deadline_ms)
  WHERE state IN ('sending', 'authorised');
CREATE INDEX payments_held ON payments (deadline_ms) WHERE state = 'held';

-- Of a payment, or of one of its operations: then operation_id names it.
CREATE TABLE reversals (
  payment_id text NOT NULL REFERENCES payments,
  operation_id text NOT NULL DEFAULT '',
  stan text NOT NULL,
  transmission text NOT NULL,
  reason text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_at_ms bigint NOT NULL,
  acknowledged_at_ms bigint,
  response_code text,
  PRIMARY KEY (payment_id, operation_id),
  UNIQUE (stan, transmission)
);
CREATE INDEX reversals_due ON reversals (next_at_ms) WHERE acknowledged_at_ms IS NULL;

CREATE TABLE outbox (
  message_id text PRIMARY KEY,
  payment_id text NOT NULL REFERENCES payments,
  merchant_id text NOT NULL,
  mode text NOT NULL,
  url text NOT NULL,
  body text NOT NULL,
  created_at_ms bigint NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_at_ms bigint NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
  -- The merchant's endpoint it goes to; null for the order's own address.
  endpoint_id text,
  -- Of the last try; 0 for no answer.
  last_status integer,
  last_at_ms bigint
);
CREATE INDEX outbox_due ON outbox (next_at_ms) WHERE state = 'waiting';

-- Final states are never left, and no move leaves the table of model.ts#PAYMENT_MOVES.
CREATE FUNCTION check_payment_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'sending>authorised', 'sending>held', 'sending>captured', 'sending>declined',
    'sending>unknown', 'authorised>held', 'authorised>captured', 'authorised>reversing',
    'authorised>unknown', 'held>captured', 'held>voided', 'captured>voided',
    'unknown>reversed', 'reversing>reversed'
  ) THEN
    RAISE EXCEPTION 'a payment cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER payment_move BEFORE UPDATE OF state ON payments
  FOR EACH ROW EXECUTE FUNCTION check_payment_move();

-- A paid order stays paid, whatever arrives late; only its own void ends it.
CREATE FUNCTION check_order_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'voided' AND NEW.status <> 'voided'
    OR OLD.status = 'paid' AND NEW.status NOT IN ('paid', 'voided') THEN
    RAISE EXCEPTION 'a % order cannot become %', OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER order_move BEFORE UPDATE OF status ON orders
  FOR EACH ROW EXECUTE FUNCTION check_order_move();
