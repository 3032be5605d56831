-- Undoing an import asks who was taken out of an organization since. An index leads from users to the ends of their memberships, which the log
-- alone still knows; it takes the place of the one that had only those with a reason. A row of an import names the organization that it has made
-- or renamed, until that is taken back.

-- +goose Up
create index changes_removals on changes ((before ->> 'userId')) where action = 'membership.deleted';
drop index changes_removal_reasons;

alter table import_rows add column org_id uuid;
create index import_rows_organization on import_rows (import_id, number) where org_id is not null;
