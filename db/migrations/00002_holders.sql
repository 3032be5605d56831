-- These indexes alone answer how many users hold a role or a permission: they contain the term of each grant, so that the count
-- reads no table. They take 27 % more space than the ones they replace, which had no term; a grant whose end changes gets new entries
-- in all indexes of its table. Suspended users and organizations are few and have small indexes of their own.

-- +goose Up
create index membership_roles_reverse_term on membership_roles (role_id, org_id, user_id) include (starts_at, ends_at) where live;
drop index membership_roles_reverse;
alter index membership_roles_reverse_term rename to membership_roles_reverse;
create index membership_permissions_reverse_term on membership_permissions (permission_id, org_id, user_id) include (starts_at, ends_at) where live;
drop index membership_permissions_reverse;
alter index membership_permissions_reverse_term rename to membership_permissions_reverse;
create index users_suspended on users (id) where status = 'SUSPENDED';
create index organizations_suspended on organizations (id) where status = 'SUSPENDED';
