RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT encode(sha256(convert_to(salt || ' ' || personal, 'UTF8')), 'hex')
$$
