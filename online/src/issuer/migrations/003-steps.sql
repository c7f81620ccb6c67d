-- The durable steps: each is one statement of the program. @see store.ts, admin.ts

-- SQLSTATE TP001: what the decision was made on has changed; nothing of it was written.
CREATE FUNCTION raise_stale(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'stale: %', what USING ERRCODE = 'TP001';
END $$;

-- Many changes are made at once. What each of them does stands in lists, one for each table: of
-- rows as arrays, in front the place of the change in its group, then the columns in their order.
-- (A row with named columns costs the server three times as much.)

-- Trace keys of those that are new.
CREATE FUNCTION insert_requests(given jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  fresh text[];
BEGIN
  WITH written AS (
    INSERT INTO requests
      SELECT one ->> 1, one ->> 2, one ->> 3, one ->> 4, one ->> 5, (one ->> 6)::bigint, one ->> 7,
        one ->> 8, one ->> 9, one ->> 10, one ->> 11, (one ->> 12)::boolean, one ->> 13,
        one ->> 14, one ->> 15, one ->> 16, (one ->> 17)::bigint, one ->> 18, one ->> 19,
        (one ->> 20)::boolean, one ->> 21, (one ->> 22)::bigint
      FROM jsonb_array_elements(given) AS one
      ON CONFLICT (trace_key) DO NOTHING RETURNING trace_key
  ) SELECT array_agg(trace_key) INTO fresh FROM written;
  RETURN fresh;
END $$;

-- The cards as decisions saw them, and counters that were never used, or nothing at all.
CREATE FUNCTION change_cards(given jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  stale_cards bigint;
  stale_counters bigint;
BEGIN
  WITH change AS MATERIALIZED (
    SELECT one ->> 1 AS card_id, (one ->> 2)::bigint AS version, (one ->> 3)::integer AS failures,
      (one ->> 4)::integer AS used_atc, one ->> 5 AS atc_use
    FROM jsonb_array_elements(given) AS one
  ), moved AS (
    UPDATE cards SET version = cards.version + 1, pin_failures = change.failures,
        atc_highest = greatest(atc_highest, coalesce(used_atc, 0))
      FROM change WHERE cards.card_id = change.card_id AND cards.version = change.version
      RETURNING 1
  ), used AS (
    INSERT INTO card_atcs SELECT card_id, used_atc, atc_use FROM change WHERE used_atc IS NOT NULL
      ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT (SELECT count(*) FROM change) - (SELECT count(*) FROM moved),
    (SELECT count(used_atc) FROM change) - (SELECT count(*) FROM used)
    INTO stale_cards, stale_counters;
  IF stale_cards > 0 THEN
    PERFORM raise_stale('card');
  ELSIF stale_counters > 0 THEN
    PERFORM raise_stale('counter');
  END IF;
END $$;

-- Counts payments, and takes out those that are undone.
CREATE FUNCTION use_days(given jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH used AS MATERIALIZED (
    SELECT one ->> 1 AS card_id, one ->> 2 AS day, sum((one ->> 3)::bigint)::bigint AS amount_minor,
      sum((one ->> 4)::integer)::integer AS count, sum((one ->> 5)::bigint)::bigint AS no_pin_minor
    FROM jsonb_array_elements(given) AS one GROUP BY 1, 2
  ), moved AS (
    UPDATE card_days AS known SET amount_minor = known.amount_minor + used.amount_minor,
        count = known.count + used.count, no_pin_minor = known.no_pin_minor + used.no_pin_minor
      FROM used WHERE known.card_id = used.card_id AND known.day = used.day
      RETURNING known.card_id, known.day
  )
  INSERT INTO card_days AS known
    SELECT * FROM used WHERE count > 0 AND (card_id, day) NOT IN (SELECT card_id, day FROM moved)
    ON CONFLICT (card_id, day) DO UPDATE SET
      amount_minor = known.amount_minor + excluded.amount_minor,
      count = known.count + excluded.count,
      no_pin_minor = known.no_pin_minor + excluded.no_pin_minor;
END $$;

CREATE FUNCTION insert_ledger(transactions jsonb, entries jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger_transactions
    SELECT one ->> 1, one ->> 2, one ->> 3, (one ->> 4)::bigint
    FROM jsonb_array_elements(transactions) AS one;
  INSERT INTO ledger_entries
    SELECT one ->> 1, one ->> 2, one ->> 3, one ->> 4, (one ->> 5)::bigint
    FROM jsonb_array_elements(entries) AS one;
END $$;

CREATE FUNCTION mark_requests(marks jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mark jsonb;
BEGIN
  FOR mark IN SELECT * FROM jsonb_array_elements(marks) LOOP
    UPDATE requests SET state = mark ->> 'to', returned_minor = (mark ->> 'returned_minor')::bigint
      WHERE trace_key = mark ->> 'trace_key' AND state = mark ->> 'from'
        AND returned_minor = (mark ->> 'returned_before_minor')::bigint;
    IF NOT FOUND THEN
      PERFORM raise_stale('original');
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION change_hold(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  hold holds := jsonb_populate_record(NULL::holds, change -> 'hold');
BEGIN
  IF change ->> 'from' IS NULL THEN
    INSERT INTO holds SELECT hold.*;
    RETURN;
  END IF;
  UPDATE holds SET held_minor = hold.held_minor, posted_minor = hold.posted_minor,
      state = hold.state
    WHERE hold_id = hold.hold_id AND state = change ->> 'from';
  IF NOT FOUND THEN
    PERFORM raise_stale('hold');
  END IF;
END $$;

-- A hold gives money free before the entries take it, and takes it after they brought it.
CREATE FUNCTION frees_money(change jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce((change #>> '{hold,hold,held_minor}')::bigint = 0, false)
$$;

-- Parts of a change that payments do not have: those before its entries, and those after them.
CREATE FUNCTION commit_rare_before(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF change ? 'refused_ahead' THEN
    IF insert_requests(change -> 'refused_ahead') IS NULL THEN
      PERFORM raise_stale('the original has arrived');
    END IF;
  END IF;
  IF change ? 'marks' THEN
    PERFORM mark_requests(change -> 'marks');
  END IF;
  IF frees_money(change) THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
END $$;

CREATE FUNCTION commit_rare_after(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF change ? 'hold' AND NOT frees_money(change) THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
  IF change ? 'work_items' THEN
    INSERT INTO work_items
      SELECT * FROM jsonb_populate_recordset(NULL::work_items, change -> 'work_items');
  END IF;
  IF change ? 'scripts' THEN
    PERFORM change_script(one) FROM jsonb_array_elements(change -> 'scripts') AS one;
  END IF;
  IF change ? 'settings' THEN
    PERFORM set_card(change -> 'settings');
  END IF;
END $$;

-- Those of a list whose change goes on.
CREATE FUNCTION kept(given jsonb, places integer[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(one), '[]') FROM jsonb_array_elements(given) AS one
    WHERE (one ->> 0)::integer = ANY (places)
$$;

-- Everything that each of many requests does, in one statement, or nothing of any. `rare` is what
-- payments do not have: [place, {what is there of it}]. Answers the places of the changes that were
-- made, null for all; the others were answered before.
CREATE FUNCTION commit_changes(records jsonb, cards jsonb, usages jsonb, transactions jsonb,
  entries jsonb, rare jsonb) RETURNS integer[] LANGUAGE plpgsql AS $$
DECLARE
  fresh text[] := insert_requests(records);
  places integer[];
BEGIN
  IF cardinality(fresh) IS DISTINCT FROM jsonb_array_length(records) THEN
    -- Of two with one key the first was written.
    SELECT coalesce(array_agg(place), '{}') INTO places
      FROM (SELECT min((one ->> 0)::integer) AS place FROM jsonb_array_elements(records) AS one
        WHERE one ->> 1 = ANY (fresh) GROUP BY one ->> 1) AS first;
    cards := kept(cards, places);
    usages := kept(usages, places);
    transactions := kept(transactions, places);
    entries := kept(entries, places);
    rare := kept(rare, places);
  END IF;
  PERFORM commit_rare_before(one -> 1) FROM jsonb_array_elements(rare) AS one;
  PERFORM change_cards(cards);
  PERFORM use_days(usages);
  PERFORM insert_ledger(transactions, entries);
  PERFORM commit_rare_after(one -> 1) FROM jsonb_array_elements(rare) AS one;
  RETURN places;
END $$;

-- Takes a card with its accounts and opening balances unless it is known.
CREATE FUNCTION import_card(card jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM cards WHERE pan_lookup = card ->> 'pan_lookup'
    AND pan_sequence_number = card ->> 'pan_sequence_number';
  IF FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO accounts (account_id, currency, kind, balance_minor, credit_line_minor)
    SELECT account_id, card ->> 'currency', kind, balance_minor, credit_line_minor
    FROM jsonb_populate_recordset(NULL::accounts, card -> 'accounts')
    ON CONFLICT (account_id) DO NOTHING;
  INSERT INTO cards
    SELECT * FROM jsonb_populate_record(NULL::cards, card || '{"atc_highest": 0, "version": 0}');
  IF card ? 'opening' THEN
    PERFORM insert_ledger(card #> '{opening,transactions}', card #> '{opening,entries}');
  END IF;
  RETURN true;
END $$;

-- One act of an operator and its line in the audit; false when there is no such thing.
CREATE FUNCTION admin_change(change jsonb, act jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  action text := change ->> 'action';
  subject text := act ->> 'subject';
  at_ms bigint := (act ->> 'at_ms')::bigint;
  before text;
  after text := '';
  old cards;
  new cards;
BEGIN
  IF action = 'hotListed' THEN
    SELECT hot_list.reason INTO before FROM hot_list WHERE pan_lookup = subject FOR UPDATE;
    before := coalesce(before, '');
    after := change ->> 'reason';
    INSERT INTO hot_list VALUES (subject, change ->> 'pan_masked', after, at_ms)
      ON CONFLICT (pan_lookup) DO UPDATE SET reason = excluded.reason;
  ELSIF action = 'hotDelisted' THEN
    DELETE FROM hot_list WHERE pan_lookup = subject RETURNING hot_list.reason INTO before;
  ELSIF action = 'workItemClosed' THEN
    UPDATE work_items SET closed_at_ms = at_ms WHERE item_id = subject AND closed_at_ms IS NULL
      RETURNING 'open' INTO before;
    after := 'closed';
  ELSIF action = 'scriptQueued' THEN
    SELECT '' INTO before FROM cards WHERE card_id = subject;
    IF FOUND THEN
      PERFORM change_script(change);
      after := concat_ws(' ', change #>> '{script,script_id}', change #>> '{script,kind}',
        change #>> '{script,target}');
    END IF;
  ELSIF action = 'scriptClosed' THEN
    UPDATE card_scripts SET state = 'closed', changed_at_ms = at_ms, evidence = 'operator'
      WHERE script_id = subject AND state = 'queued' RETURNING 'queued' INTO before;
    after := 'closed';
  ELSIF action = 'loadResolved' THEN
    SELECT state INTO before FROM card_scripts WHERE script_id = subject AND kind = 'load'
      AND state IN ('delivered', 'reversed') FOR UPDATE;
    after := CASE WHEN change ->> 'verdict' = 'has' THEN 'done'
      WHEN before = 'reversed' THEN 'closed' ELSE 'delivered' END;
    UPDATE card_scripts SET state = after, evidence = 'operator', changed_at_ms = at_ms
      WHERE script_id = subject AND before IS NOT NULL;
    after := after || ' ' || (change ->> 'verdict');
  ELSIF action = 'loadPayerBound' THEN
    INSERT INTO card_load_payers VALUES (subject, change ->> 'payer_card_id')
      ON CONFLICT DO NOTHING RETURNING '' INTO before;
    after := change ->> 'payer_card_id';
  ELSE
    SELECT * INTO old FROM cards WHERE card_id = subject FOR UPDATE;
    IF FOUND THEN
      -- What is absent stays as it is; a decision that is under way is made anew.
      new := jsonb_populate_record(old, change -> 'set');
      new.version := old.version + 1;
      UPDATE cards SET (state, pin_failures, single_amount_minor, day_amount_minor, day_count,
          no_pin_minor, no_pin_day_minor, version) = (new.state, new.pin_failures,
          new.single_amount_minor, new.day_amount_minor, new.day_count, new.no_pin_minor,
          new.no_pin_day_minor, new.version)
        WHERE card_id = subject;
      SELECT string_agg(coalesce(to_jsonb(old) ->> key, '-'), ' '),
          string_agg(coalesce(to_jsonb(new) ->> key, '-'), ' ')
        INTO before, after FROM jsonb_object_keys(change -> 'set') AS key;
    END IF;
  END IF;
  IF before IS NULL THEN
    RETURN false;
  END IF;
  INSERT INTO admin_audit VALUES (act ->> 'audit_id', at_ms, act ->> 'actor', act ->> 'note',
    action, subject, before, after);
  RETURN true;
END $$;
