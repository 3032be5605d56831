-- Who holds a role or a permission is counted by these indexes alone: with the term beside the place, no grant has to be looked
-- at. They take 27 % more room than the ones they replace, which had no term; a grant whose end is changed gets new entries in all
-- indexes of its table. The suspended, who are few, are found by themselves; their indexes are written when one is suspended.

-- +goose Up
create index membership_roles_reverse_term on membership_roles (role_id, org_id, user_id) include (starts_at, ends_at) where live;
drop index membership_roles_reverse;
alter index membership_roles_reverse_term rename to membership_roles_reverse;
create index membership_permissions_reverse_term on membership_permissions (permission_id, org_id, user_id) include (starts_at, ends_at) where live;
drop index membership_permissions_reverse;
alter index membership_permissions_reverse_term rename to membership_permissions_reverse;
create index users_suspended on users (id) where status = 'SUSPENDED';
create index organizations_suspended on organizations (id) where status = 'SUSPENDED';
