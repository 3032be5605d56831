-- Invitations: the address that somebody was invited by, what they are to be in the organization, and who lets them.
--
-- The token of the link cannot be read here: only its hash is kept, which is made of the id and the address as well. live is true of the
-- one invitation of an address to an organization that is not accepted, revoked or replaced; it may have expired. A program that does not
-- know the table would leave addresses of deleted users in it, so it must not start any more.

-- +goose Up
create table invitations (
    id           uuid primary key,
    org_id       uuid not null references organizations,
    email        text not null,
    email_key    text collate "C" not null,
    given_name   text,
    family_name  text,
    role_ids       uuid[] not null,
    -- none were named, so that the default ones are granted
    default_roles  boolean not null,
    hash         bytea not null,
    invited_by   text not null,
    live         boolean not null default true,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    -- null: it was not mailed, so that its token proves no address
    sent_at      timestamptz,
    accepted_at  timestamptz,
    revoked_at   timestamptz,
    -- who has accepted it
    user_id      uuid references users
);
create unique index invitations_live on invitations (org_id, email_key) where live;
create index invitations_organization on invitations (org_id, created_at, id);
create index invitations_created_at on invitations (created_at, id);
create index invitations_email on invitations (email_key);
create index invitations_invited_by on invitations (invited_by) where live;
create index invitations_user on invitations (user_id) where user_id is not null;
create index invitations_expires_at on invitations (expires_at);

alter table flows drop constraint flows_purpose_check,
    add constraint flows_purpose_check check (purpose in ('SIGN_IN', 'SIGN_UP', 'RESET_PASSWORD', 'CHANGE_EMAIL', 'ACCEPT_INVITATION'));

update schema_compatibility set least_version = 14;
