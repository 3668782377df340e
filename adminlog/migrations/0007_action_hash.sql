RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
-- As it was, but for the token of those rows that have one: all hashes from before it was there still hold.
RETURN encode(sha256(convert_to(coalesce(previous, '') || ' ' || (jsonb_build_object(
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
) || CASE WHEN act.token IS NULL THEN '{}' ELSE jsonb_build_object('token', act.token) END)::text, 'UTF8')), 'hex')
