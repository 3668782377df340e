RETURNS text LANGUAGE sql IMMUTABLE AS $$
    -- The moment as seconds since 1970 in UTC: as text it would follow the session's time zone.
    SELECT encode(sha256(convert_to(coalesce(previous, '') || ' ' || jsonb_build_object(
        'seq', act.seq,
        'id', act.id,
        'created_at', extract(epoch FROM act.created_at),
        'admin_id', act.admin_id,
        'admin_name', act.admin_name,
        'admin_role', act.admin_role,
        'action', act.action,
        'target_type', act.target_type,
        'target_id', act.target_id,
        'contractors', act.contractors,
        'payload', act.payload,
        'details_id', act.details_id,
        'details_hash', act.details_hash,
        'part_of_id', act.part_of_id,
        'address', host(act.address),
        'request_id', act.request_id
    )::text, 'UTF8')), 'hex')
$$
