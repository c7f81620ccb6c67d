-- The book: double entry, written once, and balances that follow it.

-- All legs of a transaction are booked by one database transaction. Its id is kind and subject, so
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

-- Double entry: at commit each transaction sums to zero in each currency and phase, and it is
-- complete: no leg comes later.
CREATE FUNCTION check_ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM ledger_entries WHERE transaction_id = NEW.transaction_id
    GROUP BY currency, phase
    HAVING sum(amount_minor) <> 0 OR min(booked_in) <> NEW.booked_in;
  IF FOUND THEN
    RAISE EXCEPTION 'ledger transaction % does not balance, or was complete before',
      NEW.transaction_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_balance AFTER INSERT ON ledger_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ledger_balance();

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
