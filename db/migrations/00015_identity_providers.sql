-- Who else signs people in: Google, Microsoft, or any provider of OpenID Connect, for the business or for one organization.
--
-- An identity is (issuer, subject): identities.provider has the issuer, or 'password', and the primary key leads from them to the
-- person. provider_id says which provider was used last. It refers to nothing, so that deleting a provider does not have to find its
-- identities, however many: they let nobody in any more, and work again if a provider with the same issuer is set up.
--
-- What a flow is for, and needs next, is checked by the program, which alone knows all of it.

-- +goose Up
create table identity_providers (
    id                    uuid primary key,
    key                   text collate "C" not null,
    kind                  text not null,
    display_name          text not null,
    issuer                text not null,
    client_id             text not null,
    client_secret         bytea not null, -- sealed
    client_secret_set_at  timestamptz not null,
    org_id                uuid references organizations,
    domains               text[] not null default '{}',
    trusted               boolean not null default false,
    sync_profiles         boolean,
    enabled               boolean not null default true,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    constraint identity_providers_key unique (key)
);
create index identity_providers_organization on identity_providers (org_id) where org_id is not null;

alter table identities add column provider_id uuid;

alter table flows drop constraint if exists flows_purpose_check, drop constraint if exists flows_next_check;
