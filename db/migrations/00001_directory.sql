-- Users, organizations, memberships, roles, permissions, grants, API keys, settings and the log of changes.
--
-- Columns that end in _key hold the folded form of the column beside them (Unicode NFKC, case folded, made by db.Fold). Uniqueness,
-- look-ups and order use them. They, and the ids that order pages, compare bytes (collate "C"), so that keyset
-- pagination and its indexes work alike in every locale.
--
-- Rows that history refers to are never deleted: users, organizations, roles and permissions become tombstones (deleted_at),
-- and grants end (revoked_at).

-- +goose Up
create extension if not exists pg_trgm;

create table users (
    id                 uuid primary key,
    email              text,
    email_key          text collate "C" unique,
    email_verified     boolean not null default false,
    username           text,
    username_key       text collate "C" unique,
    phone              text,
    given_name         text,
    family_name        text,
    name               text not null,
    name_key           text collate "C" not null,
    picture_url        text,
    external_id        text,
    external_id_key    text collate "C" unique,
    status             text not null default 'ACTIVE' check (status in ('ACTIVE', 'SUSPENDED')),
    properties         jsonb not null default '{}',
    search             text not null,
    version            integer not null default 1,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    last_signed_in_at  timestamptz,
    sign_in_count      integer not null default 0,
    deleted_at         timestamptz,
    check ((email is null) = (email_key is null)),
    check ((username is null) = (username_key is null)),
    check ((external_id is null) = (external_id_key is null)),
    -- a tombstone keeps no personal data
    constraint users_erased check (deleted_at is null or (num_nonnulls(email, username, phone, given_name, family_name,
        picture_url, external_id) = 0 and name = 'Deleted user' and search = '' and properties = '{}'))
);
create index users_created_at on users (created_at, id) where deleted_at is null;
create index users_email on users (coalesce(email_key, ''), id) where deleted_at is null;
create index users_name on users (name_key, id) where deleted_at is null;
create index users_last_signed_in_at on users (coalesce(last_signed_in_at, '-infinity'), id) where deleted_at is null;
create index users_search on users using gin (search gin_trgm_ops);

create table identities (
    provider           text not null,
    subject            text not null,
    user_id            uuid not null references users,
    email              text,
    last_signed_in_at  timestamptz,
    created_at         timestamptz not null default now(),
    primary key (provider, subject)
);
create index identities_user on identities (user_id, created_at);

create table organizations (
    id                 uuid primary key,
    code               text collate "C" not null,
    name               text not null,
    name_key           text collate "C" not null,
    external_id        text,
    external_id_key    text collate "C",
    is_default         boolean not null default false,
    status             text not null default 'ACTIVE' check (status in ('ACTIVE', 'SUSPENDED')),
    properties         jsonb not null default '{}',
    auto_join_domains  text[] not null default '{}',
    search             text not null,
    version            integer not null default 1,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    deleted_at         timestamptz,
    check ((external_id is null) = (external_id_key is null)),
    constraint organizations_default_is_active check (not is_default or (status = 'ACTIVE' and deleted_at is null))
);
create unique index organizations_code on organizations (code) where deleted_at is null;
create unique index organizations_external_id on organizations (external_id_key) where deleted_at is null;
create unique index organizations_one_default on organizations (is_default) where is_default;
create index organizations_created_at on organizations (created_at, id) where deleted_at is null;
create index organizations_name on organizations (name_key, id) where deleted_at is null;
create index organizations_search on organizations using gin (search gin_trgm_ops);

create table memberships (
    id         uuid primary key,
    org_id     uuid not null references organizations,
    user_id    uuid not null references users,
    joined_at  timestamptz not null default now(),
    constraint memberships_once unique (org_id, user_id)
);
create index memberships_user on memberships (user_id, joined_at, id);
create index memberships_organization on memberships (org_id, joined_at, id);

create table permissions (
    id           uuid primary key,
    key          text collate "C" not null,
    name         text not null,
    description  text,
    is_system    boolean not null default false,
    created_at   timestamptz not null default now(),
    deleted_at   timestamptz
);
create unique index permissions_key on permissions (key) where deleted_at is null;

create table roles (
    id           uuid primary key,
    key          text collate "C" not null,
    name         text not null,
    description  text,
    is_system    boolean not null default false,
    is_default   boolean not null default false,
    version      integer not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz
);
create unique index roles_key on roles (key) where deleted_at is null;

create table role_permissions (
    role_id        uuid not null references roles,
    permission_id  uuid not null references permissions,
    granted_at     timestamptz not null default now(),
    granted_by     text not null,
    revoked_at     timestamptz,
    revoked_by     text
);
create unique index role_permissions_live on role_permissions (role_id, permission_id) where revoked_at is null;
create index role_permissions_history on role_permissions (permission_id, role_id);

create table organization_default_roles (
    org_id   uuid not null references organizations,
    role_id  uuid not null references roles,
    primary key (org_id, role_id)
);
create index organization_default_roles_role on organization_default_roles (role_id);

-- A grant is live until it is revoked, or replaced after it has ended; starts_at and ends_at decide whether a live grant holds
-- at a moment. The grant contains the organization and the user, so that neither a check nor a look-up by role needs a join.
create table membership_roles (
    org_id      uuid not null references organizations,
    user_id     uuid not null references users,
    role_id     uuid not null references roles,
    id          uuid not null,
    live        boolean not null default true,
    starts_at   timestamptz not null default now(),
    ends_at     timestamptz,
    granted_at  timestamptz not null default now(),
    granted_by  text not null,
    reason      text,
    revoked_at  timestamptz,
    revoked_by  text,
    primary key (org_id, user_id, role_id, id),
    check (ends_at > starts_at),
    check (revoked_at is null or not live)
);
create unique index membership_roles_live on membership_roles (org_id, user_id, role_id) where live;
create index membership_roles_reverse on membership_roles (role_id, org_id, user_id) where live;
create index membership_roles_revoked on membership_roles (role_id, revoked_at) where revoked_at is not null;

create table membership_permissions (
    org_id         uuid not null references organizations,
    user_id        uuid not null references users,
    permission_id  uuid not null references permissions,
    id             uuid not null,
    live           boolean not null default true,
    starts_at      timestamptz not null default now(),
    ends_at        timestamptz,
    granted_at     timestamptz not null default now(),
    granted_by     text not null,
    reason         text,
    revoked_at     timestamptz,
    revoked_by     text,
    primary key (org_id, user_id, permission_id, id),
    check (ends_at > starts_at),
    check (revoked_at is null or not live)
);
create unique index membership_permissions_live on membership_permissions (org_id, user_id, permission_id) where live;
create index membership_permissions_reverse on membership_permissions (permission_id, org_id, user_id) where live;
create index membership_permissions_revoked on membership_permissions (permission_id, revoked_at) where revoked_at is not null;

create table api_keys (
    id            uuid primary key,
    name          text not null,
    prefix        text not null,
    hash          bytea not null unique,
    org_id        uuid references organizations,
    user_id       uuid references users,
    created_at    timestamptz not null default now(),
    created_by    text not null,
    expires_at    timestamptz,
    last_used_at  timestamptz,
    revoked_at    timestamptz,
    revoked_by    text
);
create index api_keys_created_at on api_keys (created_at, id);
create index api_keys_user on api_keys (user_id) where user_id is not null;

create table api_key_permissions (
    api_key_id     uuid not null references api_keys,
    permission_id  uuid not null references permissions,
    primary key (api_key_id, permission_id)
);
create index api_key_permissions_permission on api_key_permissions (permission_id);

create table settings (
    id                        boolean primary key default true check (id),
    allow_self_sign_up        boolean not null default true,
    sync_profiles_on_sign_in  boolean not null default true
);

-- xid is the number of the transaction, by which a follower finds changes that commit late (docs/architecture.md).
create table changes (
    id          uuid primary key,
    xid         xid8 not null default pg_current_xact_id(),
    at          timestamptz not null default now(),
    actor       text not null,
    action      text collate "C" not null,
    subject     text collate "C" not null,
    org_id      uuid references organizations,
    before      jsonb,
    after       jsonb,
    request_id  text
);
create index changes_xid on changes (xid);
create index changes_at on changes (at, id);
create index changes_subject on changes (subject, at, id);
create index changes_actor on changes (actor, at, id);
create index changes_action on changes (action, at, id);
create index changes_organization on changes (org_id, at, id);

-- Answers to mutation documents with an Idempotency-Key, for retries. The transaction of the document writes them, and they are
-- deleted after 24 hours. name and sealed are made with the client's credential and that key, which are not stored: without them,
-- a row reveals nothing (docs/decisions/0002-retries.md).
create table kept_answers (
    name    bytea primary key,
    at      timestamptz not null default statement_timestamp(),
    xid     xid8 not null default pg_current_xact_id(),
    sealed  bytea -- null only while the document is carried out
);
create index kept_answers_at on kept_answers (at);

-- Every user, except tombstones, belongs to an organization other than the one that stands for the business (db.Root). The trigger
-- checks this at commit, for users who are new or lost a membership. It locks the user's row first: of two transactions that each
-- remove one of two memberships, the second waits and then sees what the first has done.
-- +goose StatementBegin
create function check_user_has_organization() returns trigger language plpgsql as $$
declare
    who uuid;
begin
    if tg_table_name = 'users' then
        who := new.id;
    else
        who := old.user_id;
    end if;
    perform 1 from users where id = who and deleted_at is null for no key update;
    if found and not exists (select from memberships where user_id = who and org_id <> '00000000-0000-7000-8000-000000000000') then
        raise exception 'user without organization' using errcode = 'check_violation', constraint = 'users_have_organization';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create constraint trigger users_have_organization after insert on users
    deferrable initially deferred for each row execute function check_user_has_organization();
create constraint trigger memberships_leave_organization after delete or update of user_id on memberships
    deferrable initially deferred for each row execute function check_user_has_organization();

-- There is always a default organization. The constraints organizations_one_default and organizations_default_is_active do the rest.
-- +goose StatementBegin
create function check_default_organization() returns trigger language plpgsql as $$
begin
    if not exists (select from organizations where is_default) then
        raise exception 'no default organization' using errcode = 'check_violation', constraint = 'organizations_have_default';
    end if;
    return null;
end $$;
-- +goose StatementEnd
create constraint trigger organizations_have_default after delete or update of is_default on organizations
    deferrable initially deferred for each row when (old.is_default) execute function check_default_organization();
