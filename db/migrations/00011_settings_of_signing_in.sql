-- How people may sign in, for how long, and what hosted pages show them. The defaults are the settings of a new business.
--
-- A domain by which people join an organization stands in one organization only. organizations.auto_join_domains is the list that
-- people read and change; organization_domains is that list by domain, written along with it, so that two writers of one domain meet
-- in its key. Where several organizations have a domain already, the oldest one keeps it. A program that does not know the table
-- would write the list alone, so it must not start any more.

-- +goose Up
alter table settings
    add column allow_password_sign_in      boolean not null default true,
    add column allow_code_sign_in          boolean not null default true,
    add column allow_organization_sign_up  boolean not null default false,
    add column minimum_password_length     integer not null default 15,
    add column remember_organization       boolean not null default false,
    add column session_idle_seconds        integer not null default 1209600,
    add column session_maximum_seconds     integer not null default 7776000,
    add column branding_name               text not null default 'Roster',
    add column branding_logo_url           text,
    add column branding_colour             text,
    add column branding_privacy_url        text,
    add column branding_terms_url          text,
    add constraint settings_way_in check (allow_password_sign_in or allow_code_sign_in),
    add constraint settings_session_ends check (session_idle_seconds <= session_maximum_seconds);

alter table organizations add column allow_self_sign_up boolean not null default false;

create table organization_domains (
    domain  text collate "C" primary key,
    org_id  uuid not null references organizations
);
create index organization_domains_organization on organization_domains (org_id);
insert into organization_domains (domain, org_id)
    select distinct on (named.domain collate "C") named.domain, o.id from organizations o, unnest(o.auto_join_domains) named (domain)
    where o.deleted_at is null order by named.domain collate "C", o.created_at, o.id;

-- +goose StatementBegin
do $$
declare
    lost record;
begin
    for lost in
        select o.id, o.code, d.domain, d.org_id as keeper from organizations o join organization_domains d on d.domain = any(o.auto_join_domains)
            where d.org_id <> o.id and o.deleted_at is null order by o.id, d.domain
    loop
        raise warning 'the domain % leads to the organization % now, and no longer to the newer % (%)', lost.domain, lost.keeper, lost.id, lost.code;
        update organizations set auto_join_domains = array_remove(auto_join_domains, lost.domain), version = version + 1, updated_at = now()
            where id = lost.id;
    end loop;
end $$;
-- +goose StatementEnd

update schema_compatibility set least_version = 11;
