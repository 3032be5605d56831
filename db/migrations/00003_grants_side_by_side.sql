-- Several live grants of one thing to one member stand beside each other, each with a term of its own: the index of live grants is
-- no longer unique. What keeps two equal grants of the same moment from becoming two rows is the lock of the membership that every
-- writer of grants takes first. A live grant whose end is brought forward keeps its id: ends_at is the new end, former_end the one
-- that it had until shortened_at (null: none). docs/decisions/0006-grants-side-by-side.md says how both time lines are read.

-- +goose Up
alter table membership_roles add column shortened_at timestamptz, add column former_end timestamptz,
    add constraint membership_roles_shortened check (former_end is null or shortened_at is not null and former_end > ends_at);
alter table membership_permissions add column shortened_at timestamptz, add column former_end timestamptz,
    add constraint membership_permissions_shortened check (former_end is null or shortened_at is not null and former_end > ends_at);
drop index membership_roles_live;
create index membership_roles_live on membership_roles (org_id, user_id, role_id) where live;
drop index membership_permissions_live;
create index membership_permissions_live on membership_permissions (org_id, user_id, permission_id) where live;
