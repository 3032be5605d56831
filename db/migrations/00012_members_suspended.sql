-- A member can be suspended in one organization: what was granted there does not count, what holds elsewhere does. Few are, and the small
-- index finds them. A program that does not know the status would let them do everything, so it must not start any more.
--
-- Identities get ids, which name them to people who unlink one. The ids of those that there are already sort by their age (UUIDv7).

-- +goose Up
alter table memberships add column status text not null default 'ACTIVE' check (status in ('ACTIVE', 'SUSPENDED'));
create index memberships_suspended on memberships (org_id, user_id) where status = 'SUSPENDED';
-- When a member was suspended in the past, whatever has become of the membership since then.
create index changes_member_suspended on changes (org_id, (before ->> 'userId'), at) where action = 'membership.suspended';

alter table identities add column id uuid;
update identities set id = (lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0')
    || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid;
alter table identities alter column id set not null, alter column id set default gen_random_uuid();

update schema_compatibility set least_version = 12;
