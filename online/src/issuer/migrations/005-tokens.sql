-- Counters that a dynamic token has used up pay nothing any more, and the reverse.
ALTER TABLE card_atcs DROP CONSTRAINT card_atcs_atc_use_check;
ALTER TABLE card_atcs ADD CONSTRAINT card_atcs_atc_use_check
  CHECK (atc_use IN ('request', 'advice', 'token'));
