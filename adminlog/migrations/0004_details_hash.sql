RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN encode(sha256(convert_to(salt::text || ' ' || personal::text, 'UTF8')), 'hex')
