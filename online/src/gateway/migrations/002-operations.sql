-- What is done to a payment after its approval, and whom the gateway tells.

-- Sums of a payment that was captured, or held with operations. The checks are the last word on
-- money given back, whatever the program believes.
CREATE TABLE payment_balances (
  payment_id text PRIMARY KEY REFERENCES payments,
  held_minor bigint NOT NULL CHECK (held_minor > 0),
  captured_minor bigint NOT NULL CHECK (captured_minor BETWEEN 0 AND held_minor),
  refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
  pending_refund_minor bigint NOT NULL DEFAULT 0 CHECK (pending_refund_minor >= 0),
  disputed boolean NOT NULL DEFAULT false,
  CONSTRAINT refunds_within_capture
    CHECK (refunded_minor + pending_refund_minor <= captured_minor)
);

CREATE TABLE operations (
  operation_id text PRIMARY KEY,
  payment_id text NOT NULL REFERENCES payments,
  merchant_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
  transaction_kind text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('sending', 'pending', 'succeeded', 'failed', 'unknown', 'reversed')),
  amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 999999999999),
  currency text NOT NULL CHECK (currency ~ '^[0-9]{3}$'),
  -- Fields 11, 7 and 37; the same in each repeat.
  stan text NOT NULL,
  transmission text NOT NULL,
  retrieval_reference text NOT NULL,
  sealed_request text NOT NULL,
  note text,
  response_code text,
  approval_code text,
  settlement_date text,
  reason text,
  attempts integer NOT NULL DEFAULT 0,
  next_at_ms bigint NOT NULL,
  identity text NOT NULL UNIQUE,
  fingerprint text NOT NULL,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  UNIQUE (stan, transmission)
);
CREATE INDEX operations_payment ON operations (payment_id);
CREATE INDEX operations_due ON operations (next_at_ms) WHERE state IN ('sending', 'pending');
-- One capture for ever, one void at a time and for ever.
CREATE UNIQUE INDEX operations_one_capture ON operations (payment_id)
  WHERE kind = 'capture' AND state <> 'failed';
CREATE UNIQUE INDEX operations_one_void ON operations (payment_id)
  WHERE kind = 'void' AND state NOT IN ('failed', 'reversed');

-- Final states are never left, and no move leaves the table of operations/model.ts.
CREATE FUNCTION check_operation_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'sending>pending', 'sending>succeeded', 'sending>failed', 'sending>unknown',
    'pending>succeeded', 'pending>failed', 'unknown>reversed'
  ) THEN
    RAISE EXCEPTION 'an operation cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER operation_move BEFORE UPDATE OF state ON operations
  FOR EACH ROW EXECUTE FUNCTION check_operation_move();

-- Money goes back one way only: beside a void nothing else is done, and no void beside a refund or an
-- unfinished capture. The payment's row is locked by whoever begins an operation.
CREATE FUNCTION check_operation_alone() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  beside text;
BEGIN
  SELECT other.kind INTO beside FROM operations other
    WHERE other.payment_id = NEW.payment_id AND other.state NOT IN ('failed', 'reversed')
      AND (other.kind = 'void' AND NEW.kind <> 'void' OR NEW.kind = 'void'
        AND (other.kind = 'refund' OR other.kind = 'capture' AND other.state <> 'succeeded'))
    LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'a % cannot stand beside a %', NEW.kind, beside
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER operation_alone BEFORE INSERT ON operations
  FOR EACH ROW EXECUTE FUNCTION check_operation_alone();

-- What a person must look at; closed when it has settled itself or somebody settled it.
CREATE TABLE work_items (
  item_id text PRIMARY KEY,
  kind text NOT NULL,
  subject_id text NOT NULL,
  facts jsonb NOT NULL,
  opened_at_ms bigint NOT NULL,
  closed_at_ms bigint
);
CREATE UNIQUE INDEX work_items_one_open ON work_items (kind, subject_id)
  WHERE closed_at_ms IS NULL;

CREATE TABLE webhook_endpoints (
  endpoint_id text PRIMARY KEY,
  merchant_id text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  url text NOT NULL,
  -- The first secret is the current one; each of the others has its last moment.
  secrets jsonb NOT NULL,
  state text NOT NULL CHECK (state IN ('enabled', 'disabled', 'failing')),
  failing_since_ms bigint,
  created_at_ms bigint NOT NULL
);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (merchant_id, mode)
  WHERE state = 'enabled';

-- Tries of a delivery that were not the successful first one.
CREATE TABLE webhook_tries (
  message_id text NOT NULL REFERENCES outbox,
  attempt integer NOT NULL,
  at_ms bigint NOT NULL,
  status integer NOT NULL,
  fault text,
  PRIMARY KEY (message_id, attempt, at_ms)
);
CREATE INDEX outbox_of_merchant ON outbox (merchant_id, created_at_ms);
