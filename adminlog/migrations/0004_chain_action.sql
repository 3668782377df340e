RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
-- A plan that was made while the journal was short would go on reading all of it for its last row.
SET enable_seqscan = off
-- A transaction that hangs with the journal in its hand must not hang every login and act.
SET lock_timeout = '5s' AS $$
DECLARE
    last record;
BEGIN
    -- Held to the end of the transaction: two rows must not be chained to the same one, and a row that is rolled back
    -- must not have been chained to. Under REPEATABLE READ, where the last row may not be seen, seq's key refuses.
    PERFORM pg_advisory_xact_lock(TG_RELID::bigint);
    SELECT id, seq, hash INTO last FROM admin.admin_actions ORDER BY seq DESC LIMIT 1;
    -- Not the id that was drawn or named: one that is yet to be drawn would have a later act refused.
    NEW.id := coalesce(last.id, 0) + 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    -- Not now(): a transaction that began earlier may come here later.
    NEW.created_at := clock_timestamp();
    SELECT username, role INTO NEW.admin_name, NEW.admin_role FROM admin.admin_users WHERE id = NEW.admin_id;
    NEW.admin_role := coalesce(NEW.admin_role, '');  -- nobody's: the foreign key refuses it
    SELECT admin.details_hash(salt, personal) INTO NEW.details_hash FROM admin.action_details WHERE id = NEW.details_id;
    IF NEW.details_id IS NOT NULL AND NEW.details_hash IS NULL THEN
        RAISE EXCEPTION 'details % are emptied, or not to be seen yet', NEW.details_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    NEW.hash := admin.action_hash(last.hash, NEW);
    RETURN NEW;
END
$$
