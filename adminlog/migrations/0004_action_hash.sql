RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
-- What it calls is bound as it is made: no search_path can put something else under it. The moment is told as seconds
-- since 1970 in UTC, because as text it would follow the session's time zone, payload and contractors as
-- text, because jsonb would not tell a payload's JSON null from none, nor an array's bounds.
RETURN encode(sha256(convert_to(coalesce(previous, '') || ' ' || jsonb_build_object(
    'seq', act.seq,
    'id', act.id,
    'created_at', extract(epoch FROM act.created_at),
    'admin_id', act.admin_id,
    'admin_name', act.admin_name,
    'admin_role', act.admin_role,
    'action', act.action,
    'target_type', act.target_type,
    'target_id', act.target_id,
    'contractors', act.contractors::text,
    'payload', act.payload::text,
    'details_id', act.details_id,
    'details_hash', act.details_hash,
    'part_of_id', act.part_of_id,
    'address', act.address,
    'request_id', act.request_id
)::text, 'UTF8')), 'hex')
