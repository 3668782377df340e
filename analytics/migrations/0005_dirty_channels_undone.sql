DROP TRIGGER dirty_insert ON core.publications;
DROP TRIGGER dirty_update ON core.publications;
DROP TRIGGER dirty_delete ON core.publications;
DROP TRIGGER dirty_truncate ON core.publications;
DROP TRIGGER dirty_insert ON core.clients;
DROP TRIGGER dirty_update ON core.clients;
DROP TRIGGER dirty_delete ON core.clients;
DROP TRIGGER dirty_truncate ON core.clients;
DROP TABLE analytics.dirty_channels;
