-- The back office: settlement, risk decisions, reconciliation. No payment waits for any of it.

-- Settlement: what merchants get for a day, by whom it was decided and what it was made of.

-- Without a row a merchant has the plan of settlement/fees.ts. Closed days keep what they took.
CREATE TABLE fee_plans (
  merchant_id text PRIMARY KEY,
  basis_points integer NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
  fixed_minor bigint NOT NULL CHECK (fixed_minor BETWEEN 0 AND 999999999999),
  refund_returns_fee boolean NOT NULL,
  -- [[who, weight], ...]
  shares jsonb NOT NULL CHECK (jsonb_array_length(shares) > 0)
);

-- A day takes what was booked before its close began and was not taken by an earlier one.
CREATE TABLE settlement_days (
  settlement_date text PRIMARY KEY CHECK (settlement_date ~ '^[0-9]{8}$'),
  -- Entries of later database transactions belong to a later day; see ledger_entries.booked_in.
  booked_before bigint NOT NULL,
  begun_at_ms bigint NOT NULL,
  closed_at_ms bigint
);
-- One day at a time.
CREATE UNIQUE INDEX settlement_days_one_open ON settlement_days ((true))
  WHERE closed_at_ms IS NULL;

CREATE TABLE settlement_batches (
  batch_id text PRIMARY KEY,
  settlement_date text NOT NULL REFERENCES settlement_days,
  merchant_id text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  currency text NOT NULL,
  sale_count integer NOT NULL CHECK (sale_count >= 0),
  sale_minor bigint NOT NULL CHECK (sale_minor >= 0),
  return_count integer NOT NULL CHECK (return_count >= 0),
  return_minor bigint NOT NULL CHECK (return_minor >= 0),
  fee_minor bigint NOT NULL,
  -- Owed by the merchant from its batch before (never above 0), and to its next one.
  brought_minor bigint NOT NULL CHECK (brought_minor <= 0),
  paid_out_minor bigint NOT NULL CHECK (paid_out_minor >= 0),
  carried_minor bigint NOT NULL CHECK (carried_minor <= 0),
  UNIQUE (settlement_date, merchant_id, mode, currency),
  CHECK (paid_out_minor = 0 OR carried_minor = 0),
  CHECK (sale_minor - return_minor - fee_minor + brought_minor = paid_out_minor + carried_minor)
);
CREATE INDEX settlement_batches_of_merchant
  ON settlement_batches (merchant_id, mode, settlement_date, currency);

-- The primary key: a transaction of the book is settled once.
CREATE TABLE settlement_items (
  transaction_id text PRIMARY KEY,
  leg smallint NOT NULL DEFAULT 0 CHECK (leg = 0),
  batch_id text NOT NULL REFERENCES settlement_batches DEFERRABLE INITIALLY DEFERRED,
  payment_id text NOT NULL REFERENCES payments,
  kind text NOT NULL CHECK (kind IN ('sale', 'capture', 'void', 'refund')),
  -- For the merchant: positive what it gets, negative what is taken back.
  amount_minor bigint NOT NULL CHECK ((amount_minor > 0) = (kind IN ('sale', 'capture'))),
  fee_minor bigint NOT NULL CHECK (abs(fee_minor) <= abs(amount_minor)),
  FOREIGN KEY (transaction_id, leg) REFERENCES ledger_entries (transaction_id, leg)
);
CREATE INDEX settlement_items_batch ON settlement_items (batch_id);
CREATE INDEX settlement_items_payment ON settlement_items (payment_id);

-- Statements as they were first made; any later copy must have the same hash.
CREATE TABLE settlement_statements (
  settlement_date text NOT NULL REFERENCES settlement_days,
  merchant_id text NOT NULL,
  mode text NOT NULL,
  records integer NOT NULL,
  sha256 text NOT NULL CHECK (sha256 ~ '^[0-9A-F]{64}$'),
  PRIMARY KEY (settlement_date, merchant_id, mode)
);

-- A batch is the sum of its items, at commit.
CREATE FUNCTION check_settlement_batch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM (SELECT
      count(*) FILTER (WHERE amount_minor > 0) AS sales,
      coalesce(sum(amount_minor) FILTER (WHERE amount_minor > 0), 0) AS sold,
      count(*) FILTER (WHERE amount_minor < 0) AS returns,
      coalesce(-sum(amount_minor) FILTER (WHERE amount_minor < 0), 0) AS returned,
      coalesce(sum(fee_minor), 0) AS fee
    FROM settlement_items WHERE batch_id = NEW.batch_id) AS items
    JOIN settlement_batches b ON b.batch_id = NEW.batch_id
    WHERE (sales, sold, returns, returned, fee) =
      (b.sale_count, b.sale_minor, b.return_count, b.return_minor, b.fee_minor);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'settlement batch % is not the sum of its items', NEW.batch_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER settlement_batch_sums AFTER INSERT ON settlement_batches
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_settlement_batch();

-- Nothing is added to a closed day, and what was settled stays.
CREATE FUNCTION refuse_closed_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM settlement_days d
    WHERE d.settlement_date = NEW.settlement_date AND d.closed_at_ms IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'settlement day % is closed', NEW.settlement_date
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER settlement_batch_open BEFORE INSERT ON settlement_batches
  FOR EACH ROW EXECUTE FUNCTION refuse_closed_day();
CREATE FUNCTION refuse_late_item() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM settlement_batches b WHERE b.batch_id = NEW.batch_id;
  IF FOUND THEN
    RAISE EXCEPTION 'settlement batch % is complete', NEW.batch_id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
-- Items are written before their batch, so none can come later.
CREATE TRIGGER settlement_item_early BEFORE INSERT ON settlement_items
  FOR EACH ROW EXECUTE FUNCTION refuse_late_item();
CREATE TRIGGER settlement_items_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_items
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER settlement_batches_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
  ON settlement_batches FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER settlement_statements_immutable BEFORE UPDATE OR DELETE OR TRUNCATE
  ON settlement_statements FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- What the risk step decided, and why. Allowed ones are written in batches behind the payments,
-- refused ones before the refusal is told.
CREATE TABLE risk_decisions (
  decision_id text PRIMARY KEY,
  at_ms bigint NOT NULL,
  order_id text NOT NULL,
  merchant_id text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  element_id text NOT NULL,
  -- HMAC of the card number under the gateway's vault key.
  card_digest text NOT NULL CHECK (card_digest ~ '^[0-9A-F]{64}$'),
  pan_masked text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency text NOT NULL,
  decision text NOT NULL CHECK (decision IN ('allowed', 'refused')),
  -- The rule that refused, and what it compared.
  rule text,
  facts jsonb NOT NULL,
  CHECK ((decision = 'refused') = (rule IS NOT NULL))
);
CREATE INDEX risk_decisions_at ON risk_decisions USING brin (at_ms) WITH (autosummarize = on);
CREATE INDEX risk_decisions_refused ON risk_decisions (decision_id) WHERE decision = 'refused';
CREATE TRIGGER risk_decisions_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON risk_decisions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- Comparisons of a day's books; the newest counts.
CREATE TABLE reconciliations (
  run_id text PRIMARY KEY,
  settlement_date text NOT NULL CHECK (settlement_date ~ '^[0-9]{8}$'),
  at_ms bigint NOT NULL,
  -- By class.
  counts jsonb NOT NULL,
  -- Hashes of the files that were compared.
  sources jsonb NOT NULL
);
CREATE INDEX reconciliations_day ON reconciliations (settlement_date, run_id);

-- Who closed a work item, and the words for it; null: it settled itself.
ALTER TABLE work_items ADD COLUMN closed_by text, ADD COLUMN note text,
  ADD CHECK ((closed_by IS NULL) = (note IS NULL)),
  ADD CHECK (closed_by IS NULL OR closed_at_ms IS NOT NULL);
CREATE INDEX work_items_subject ON work_items (kind, subject_id);
