RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO analytics.dirty_channels (channel_id) SELECT DISTINCT channel_id FROM new_rows;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO analytics.dirty_channels (channel_id) SELECT DISTINCT channel_id FROM old_rows;
    -- A row that is the same before and after in what is counted stands there twice. Not by a join: its plan is kept,
    -- and one that was made for a single row would take hours for a hundred thousand.
    ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'publications' THEN
        INSERT INTO analytics.dirty_channels (channel_id)
        SELECT DISTINCT channel_id FROM (
            SELECT id, channel_id, views, deleted FROM old_rows
            UNION ALL
            SELECT id, channel_id, views, deleted FROM new_rows
        ) AS counted
        GROUP BY id, channel_id, views, deleted HAVING count(*) = 1;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO analytics.dirty_channels (channel_id)
        SELECT DISTINCT channel_id FROM (
            SELECT id, channel_id, blocked FROM old_rows
            UNION ALL
            SELECT id, channel_id, blocked FROM new_rows
        ) AS counted
        GROUP BY id, channel_id, blocked HAVING count(*) = 1;
    ELSE
        INSERT INTO analytics.dirty_channels (channel_id) SELECT id FROM core.channels;
    END IF;
    RETURN NULL;
END
$$
