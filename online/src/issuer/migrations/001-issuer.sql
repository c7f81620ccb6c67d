-- The issuer's books. Amounts are minor units, times are milliseconds since 1970.
--
-- What a payment writes has no foreign keys: they would look up, lock and log a row for each row.
-- Triggers look for the rows referred to once a statement, and others see that these never go away.
-- Account numbers are not kept: cards are found by a keyed digest, people see the mask.

-- balance_minor is null for the bank's own accounts, whose rows no payment touches. A customer's
-- never falls below its credit line and holds; what a customer owes is zero or below.
CREATE TABLE accounts (
  account_id text PRIMARY KEY,
  currency text NOT NULL CHECK (currency ~ '^[0-9]{3}$'),
  kind text NOT NULL CHECK (kind IN ('customer', 'electronicCash', 'owed', 'bank')),
  balance_minor bigint CHECK ((balance_minor IS NULL) = (kind = 'bank')),
  held_minor bigint NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
  credit_line_minor bigint NOT NULL DEFAULT 0 CHECK (credit_line_minor >= 0),
  CONSTRAINT accounts_available_not_negative
    CHECK (kind = 'owed' OR balance_minor + credit_line_minor - held_minor >= 0),
  CONSTRAINT accounts_owed_not_positive CHECK (kind <> 'owed' OR balance_minor <= 0)
);

-- Limits are null where the installation's count.
CREATE TABLE cards (
  card_id text PRIMARY KEY,
  name text NOT NULL,
  pan_lookup text NOT NULL,
  pan_masked text NOT NULL,
  pan_sequence_number text NOT NULL,
  expiry_yymm text NOT NULL CHECK (expiry_yymm ~ '^[0-9]{4}$'),
  pvki text NOT NULL,
  pvv text NOT NULL,
  currency text NOT NULL,
  state text NOT NULL CHECK
    (state IN ('active', 'blocked', 'refused', 'lost', 'stolen', 'expired', 'closed')),
  account_id text NOT NULL REFERENCES accounts,
  pin_failures integer NOT NULL DEFAULT 0 CHECK (pin_failures BETWEEN 0 AND 3),
  atc_highest integer NOT NULL DEFAULT 0,
  single_amount_minor bigint CHECK (single_amount_minor >= 0),
  day_amount_minor bigint CHECK (day_amount_minor >= 0),
  day_count integer CHECK (day_count >= 0),
  no_pin_minor bigint CHECK (no_pin_minor >= 0),
  no_pin_day_minor bigint CHECK (no_pin_day_minor >= 0),
  version bigint NOT NULL DEFAULT 0,
  UNIQUE (pan_lookup, pan_sequence_number)
);

-- Application transaction counters whose cryptograms were verified: each counts once, in an online
-- request or in the advice of an offline payment.
CREATE TABLE card_atcs (
  card_id text NOT NULL,
  atc integer NOT NULL CHECK (atc BETWEEN 1 AND 65535),
  atc_use text NOT NULL CHECK (atc_use IN ('request', 'advice')),
  PRIMARY KEY (card_id, atc)
);

-- What refunds, voids and reversals gave back of a request never exceeds it.
CREATE TABLE requests (
  trace_key text PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN (
    'sale', 'saleVoid', 'refund', 'preAuthorisation', 'preAuthorisationCancel', 'completionAdvice',
    'completionVoid', 'balanceInquiry', 'designatedLoad', 'cashLoad', 'nonDesignatedLoad',
    'offlineSaleAdvice', 'scriptResultNotice', 'reversal')),
  fingerprint text NOT NULL,
  pan_lookup text NOT NULL,
  card_id text,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  currency text NOT NULL,
  state text NOT NULL CHECK
    (state IN ('approved', 'declined', 'voided', 'reversed', 'refusedAhead', 'acknowledged')),
  response_code text NOT NULL,
  approval_code text,
  reason text,
  arqc_verified boolean,
  ledger_entry_id text,
  icc_data text,
  additional_amounts text,
  original_trace_key text,
  returned_minor bigint NOT NULL DEFAULT 0,
  settlement_date text NOT NULL CHECK (settlement_date ~ '^[0-9]{8}$'),
  usage_day text CHECK (usage_day ~ '^[0-9]{8}$'),
  is_no_pin boolean NOT NULL DEFAULT false,
  retrieval_reference text,
  answered_at_ms bigint NOT NULL,
  CONSTRAINT requests_returned_within CHECK (returned_minor BETWEEN 0 AND amount_minor),
  CHECK (ledger_entry_id IS NULL OR state IN ('approved', 'voided', 'reversed', 'acknowledged')),
  CHECK ((state IN ('approved', 'voided', 'reversed')) = (response_code = '00'
    AND kind <> 'reversal'))
);
CREATE INDEX requests_settlement ON requests (settlement_date) WHERE ledger_entry_id IS NOT NULL;

CREATE TABLE ledger_transactions (
  transaction_id text PRIMARY KEY,
  kind text NOT NULL,
  trace_key text UNIQUE,
  at_ms bigint NOT NULL
);

CREATE TABLE ledger_entries (
  entry_id text PRIMARY KEY,
  transaction_id text NOT NULL,
  account_id text NOT NULL,
  currency text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor <> 0)
);
CREATE INDEX ledger_entries_transaction ON ledger_entries (transaction_id);

CREATE FUNCTION check_card() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  SELECT written.card_id INTO wrong
    FROM written LEFT JOIN LATERAL (SELECT card_id FROM cards
      WHERE cards.card_id = written.card_id LIMIT 1) AS known ON true
    WHERE written.card_id IS NOT NULL AND known.card_id IS NULL LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'card % is unknown', wrong USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER card_known AFTER INSERT ON card_atcs
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_card();
CREATE TRIGGER card_known AFTER INSERT ON requests
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_card();

CREATE FUNCTION check_request() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  SELECT written.trace_key INTO wrong
    FROM written LEFT JOIN LATERAL (SELECT trace_key FROM requests
      WHERE requests.trace_key = written.trace_key LIMIT 1) AS known ON true
    WHERE written.trace_key IS NOT NULL AND known.trace_key IS NULL LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'request % is unknown', wrong USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER request_known AFTER INSERT ON ledger_transactions
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_request();

-- Double entry: of each statement the entries of each transaction sum to zero in each currency.
CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  SELECT sums.transaction_id INTO wrong
    FROM (SELECT transaction_id, sum(amount_minor) AS minor FROM written
      GROUP BY transaction_id, currency) AS sums
    LEFT JOIN LATERAL (SELECT transaction_id FROM ledger_transactions
      WHERE ledger_transactions.transaction_id = sums.transaction_id LIMIT 1) AS known ON true
    WHERE minor <> 0 OR known.transaction_id IS NULL LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance, or is unknown', wrong
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER entries_checked AFTER INSERT ON ledger_entries
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_entries();

-- The balance is a projection of the entries and moves with them, under the account's row lock. The
-- bank's own accounts are not touched: their rows would be locked by every payment.
CREATE FUNCTION apply_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  WITH sums AS MATERIALIZED (
    SELECT account_id, currency, sum(amount_minor)::bigint AS minor FROM written
      GROUP BY account_id, currency ORDER BY account_id
  ), applied AS (
    UPDATE accounts SET balance_minor = balance_minor + minor FROM sums
      WHERE accounts.account_id = sums.account_id AND accounts.currency = sums.currency
        AND balance_minor IS NOT NULL
      RETURNING accounts.account_id
  )
  SELECT others.account_id INTO wrong
    FROM (SELECT * FROM sums WHERE account_id NOT IN (SELECT account_id FROM applied)) AS others
    LEFT JOIN LATERAL (SELECT kind FROM accounts
      WHERE accounts.account_id = others.account_id AND accounts.currency = others.currency
      LIMIT 1) AS known ON true
    WHERE kind IS DISTINCT FROM 'bank' LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'account % is unknown, or has another currency', wrong
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER entries_applied AFTER INSERT ON ledger_entries
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION apply_entries();

-- Conditions of triggers count their depth from the statement itself.
CREATE FUNCTION refuse_account_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'an account stays, and its balance changes by ledger entries and holds alone'
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER balance_by_entries BEFORE UPDATE OF balance_minor, held_minor ON accounts
  FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_account_change();
CREATE TRIGGER account_stays BEFORE UPDATE OF account_id, currency, kind ON accounts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_account_change();
CREATE TRIGGER accounts_kept BEFORE DELETE OR TRUNCATE ON accounts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_account_change();

-- The book is written once.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what is in the books stays' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER ledger_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transactions
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

CREATE TRIGGER atcs_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON card_atcs
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
CREATE TRIGGER cards_kept BEFORE UPDATE OF card_id OR DELETE OR TRUNCATE ON cards
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- An answer given stays given. Of an approval more and more may be given back; it may be voided,
-- its void may be undone, and it may be reversed, once.
CREATE FUNCTION check_request_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_jsonb(OLD) - 'state' - 'returned_minor' <> to_jsonb(NEW) - 'state' - 'returned_minor'
    OR (OLD.state, NEW.state) NOT IN (('approved', 'approved'), ('approved', 'voided'),
      ('approved', 'reversed'), ('voided', 'approved'), ('voided', 'reversed'))
    OR (OLD.state, NEW.state) <> ('voided', 'approved') AND NEW.returned_minor < OLD.returned_minor
    OR (OLD.state, NEW.state) = ('approved', 'approved')
      AND NEW.returned_minor <= OLD.returned_minor THEN
    RAISE EXCEPTION 'an answered request cannot change' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER request_move BEFORE UPDATE ON requests
  FOR EACH ROW EXECUTE FUNCTION check_request_move();
CREATE TRIGGER requests_kept BEFORE DELETE OR TRUNCATE ON requests
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();
