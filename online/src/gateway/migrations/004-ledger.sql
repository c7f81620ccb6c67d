-- The book: double entry, written once, and balances that follow it.

-- All legs of a transaction are booked by one statement. Its id is kind and subject, so
-- that nothing can be booked twice.
CREATE TABLE ledger_entries (
  transaction_id text NOT NULL,
  leg smallint NOT NULL CHECK (leg >= 0),
  payment_id text REFERENCES payments,
  kind text NOT NULL CHECK (kind IN ('sale', 'hold', 'capture', 'void', 'refund', 'fee', 'payout')),
  phase text NOT NULL CHECK (phase IN ('pending', 'posted')),
  mode text NOT NULL CHECK (mode IN ('test', 'live')),
  account text NOT NULL,
  currency text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
  settlement_date text NOT NULL CHECK (settlement_date ~ '^[0-9]{8}$'),
  -- The database transaction that booked it. Below pg_snapshot_xmin nothing is ever added any more,
  -- so a reader that goes on by it misses nothing, whatever order transactions commit in. Numbers
  -- begin anew in a restored dump: then run "tapnpay ledger rebuild".
  booked_in bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
  PRIMARY KEY (transaction_id, leg),
  CHECK ((payment_id IS NULL) = (kind IN ('fee', 'payout')))
);
-- Entries come in the order of both: a summary of page ranges is enough and costs a payment nothing.
CREATE INDEX ledger_entries_places ON ledger_entries USING brin (booked_in, settlement_date)
  WITH (pages_per_range = 32, autosummarize = on);

-- Double entry: a statement writes whole transactions, each of which sums to zero in each currency
-- and phase. Leg 0 comes with the others, so none can come later: that would be a second leg 0.
CREATE FUNCTION check_ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  SELECT transaction_id INTO wrong FROM (
      SELECT transaction_id, min(leg) AS first_leg, sum(amount_minor) AS sum FROM written
      GROUP BY transaction_id, currency, phase) AS sums
    GROUP BY transaction_id HAVING min(first_leg) <> 0 OR bool_or(sum <> 0) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance, or was complete before', wrong
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER ledger_balance AFTER INSERT ON ledger_entries
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION check_ledger_balance();

-- The book is written once.
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% are immutable', replace(TG_TABLE_NAME, '_', ' ')
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER ledger_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

-- Balances are a projection that one worker brings forward in batches; no payment touches them.
CREATE TABLE ledger_balances (
  mode text NOT NULL,
  account text NOT NULL,
  currency text NOT NULL,
  phase text NOT NULL,
  debits_minor numeric(38, 0) NOT NULL CHECK (debits_minor >= 0),
  credits_minor numeric(38, 0) NOT NULL CHECK (credits_minor >= 0),
  entries bigint NOT NULL CHECK (entries > 0),
  PRIMARY KEY (mode, account, currency, phase)
);
-- Entries booked in transactions before this one are in the balances, later ones are the tail.
CREATE TABLE ledger_cursor (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  booked_before bigint NOT NULL
);
INSERT INTO ledger_cursor (booked_before)
  VALUES (pg_snapshot_xmin(pg_current_snapshot())::text::bigint);
