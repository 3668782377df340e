-- Rows from before the chain. What their payloads hold is not told apart, so all of it goes where an erasure can reach.
ALTER TABLE admin.admin_actions DISABLE TRIGGER append_only;

DO $$
DECLARE
    act admin.admin_actions;
    last text;
    number bigint := 0;
BEGIN
    FOR act IN SELECT * FROM admin.admin_actions ORDER BY id LOOP
        number := number + 1;
        act.seq := number;
        SELECT username, role INTO act.admin_name, act.admin_role FROM admin.admin_users WHERE id = act.admin_id;
        SELECT coalesce(array_agg(DISTINCT contractor ORDER BY contractor), '{}') INTO act.contractors FROM (
            SELECT act.target_id WHERE act.target_type = 'core.contractor' AND act.target_id IS NOT NULL
            UNION ALL
            SELECT told.value::bigint
            FROM (VALUES ('before'), ('after')) AS moment (name),
                jsonb_each_text(
                    CASE jsonb_typeof(act.payload -> moment.name) WHEN 'object' THEN act.payload -> moment.name END
                ) AS told
            WHERE told.key IN ('contractor_id', 'owner_contractor_id', 'member_contractor_id')
                AND told.value ~ '^[0-9]{1,18}$'
        ) AS about (contractor);
        IF act.payload IS NOT NULL THEN
            INSERT INTO admin.action_details (personal) VALUES (act.payload)
            RETURNING id, admin.details_hash(salt, personal) INTO act.details_id, act.details_hash;
            act.payload := NULL;
        END IF;
        last := admin.action_hash(last, act);
        UPDATE admin.admin_actions
        SET seq = act.seq, admin_name = act.admin_name, admin_role = act.admin_role, payload = act.payload,
            contractors = act.contractors, details_id = act.details_id, details_hash = act.details_hash,
            hash = last
        WHERE id = act.id;
    END LOOP;
END
$$;

SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
ALTER TABLE admin.admin_actions ENABLE TRIGGER append_only;
