-- The three roles of a PostgreSQL database of bulkdel, and what each may do.
--
--   bulkdel_owner  owns the tables; used by `bulkdel db upgrade` alone
--   bulkdel_work   workers, and the command line of people who submit and confirm
--   bulkdel_read   reports, `bulkdel audit`, `bulkdel audit verify`: reads all, changes nothing
--
-- Once, as a superuser:  CREATE ROLE bulkdel_owner LOGIN; CREATE ROLE bulkdel_work LOGIN;
--                        CREATE ROLE bulkdel_read LOGIN; CREATE DATABASE bulkdel OWNER bulkdel_owner;
-- After every `bulkdel db upgrade`, as bulkdel_owner:  psql bulkdel -f docs/roles.sql

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, bulkdel_work, bulkdel_read;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, bulkdel_work, bulkdel_read;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO bulkdel_read, bulkdel_work;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO bulkdel_work;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO bulkdel_work;

-- A process that ends takes its row away, and planning the leaves that have nothing to delete.
GRANT DELETE ON workers, items TO bulkdel_work;

-- The audit log only grows, whatever a trigger says; and the schema is the owner's.
REVOKE UPDATE ON audit_entries FROM bulkdel_work;
REVOKE INSERT, UPDATE ON alembic_version FROM bulkdel_work;
