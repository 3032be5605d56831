package directory

import (
	"context"
	"encoding/json"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// DeleteOrganization takes all members out of the organization and ends everything
// that was granted there. Its identity providers go with it. Users who would be left without any organization move to
// the default one, with its default roles; suspended members stay suspended there. A tombstone remains, because history
// refers to it. The default organization cannot be deleted.
func (d *Directory) DeleteOrganization(ctx context.Context, in OrganizationActionInput) ([]string, error) {
	var id string
	err := d.change(ctx, access.OrganizationsWrite, func(ctx context.Context, w *write) error {
		org, err := d.lockOrganizationToChange(ctx, w, in.Organization)
		if org == nil || err != nil {
			return err
		}
		id = org.ID.String()
		w.faults.notDefault(org)
		if err := w.faults.Err(); err != nil {
			return err
		}
		return d.deleteOrganizations(ctx, w, []*db.Organization{org})
	})
	return []string{id}, err
}

// deleteOrganizations is DeleteOrganization for organizations that are locked. None of them is
// the default one.
func (d *Directory) deleteOrganizations(ctx context.Context, w *write, orgs []*db.Organization) error {
	if len(orgs) == 0 {
		return nil
	}
	ids := make([]db.OrganizationID, len(orgs))
	for i, org := range orgs {
		ids[i] = org.ID
	}
	if err := w.revokeInvitations(ctx, d.clock(), "i.org_id = any(?)", idArray(ids)); err != nil {
		return err
	}
	if err := d.removeAllMembers(ctx, w, ids); err != nil {
		return err
	}
	for _, belongings := range []any{(*db.OrganizationDefaultRole)(nil), (*db.OrganizationDomain)(nil)} {
		if _, err := w.NewDelete().Model(belongings).Where("org_id = any(?)", idArray(ids)).Exec(ctx); err != nil {
			return err
		}
	}
	if err := w.deleteProviders(ctx, "org_id = any(?)", idArray(ids)); err != nil {
		return err
	}
	for _, org := range orgs {
		if err := w.Record(changes.OrganizationDeleted, org.ID.String(), &org.ID, *org, nil); err != nil {
			return err
		}
		org.ExternalID, org.Properties, org.AutoJoinDomains = nil, json.RawMessage("{}"), []string{}
		org.Version, org.UpdatedAt, org.DeletedAt = org.Version+1, w.At, &w.At
		org.Derive()
	}
	return w.updateOrganizations(ctx, d, orgs)
}

// updateOrganizations writes organizations that were renamed or deleted, by one statement.
func (w *write) updateOrganizations(ctx context.Context, d *Directory, orgs []*db.Organization) error {
	n := len(orgs)
	ids, at, deletedAt := make([]db.OrganizationID, n), make([]time.Time, n), make([]*time.Time, n)
	names, nameKeys, searches := make([]string, n), make([]string, n), make([]string, n)
	for i, org := range orgs {
		ids[i], at[i], deletedAt[i] = org.ID, org.UpdatedAt, org.DeletedAt
		names[i], nameKeys[i], searches[i] = org.Name, org.NameKey, org.Search
	}
	var b db.Batch
	b.Exec(`update organizations o set name = n.name, name_key = n.name_key, search = n.search, version = o.version + 1, updated_at = n.at, deleted_at = n.deleted_at,
			external_id = case when n.deleted_at is null then o.external_id end, external_id_key = case when n.deleted_at is null then o.external_id_key end,
			properties = case when n.deleted_at is null then o.properties else '{}' end, auto_join_domains = case when n.deleted_at is null then o.auto_join_domains else '{}' end
		from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::text[]) n (id, at, deleted_at, name, name_key, search) where o.id = n.id`,
		ids, at, deletedAt, names, nameKeys, searches)
	return d.db.Run(ctx, &b)
}

// removeAllMembers takes all members out of the organizations, however many, and revokes
// the API keys that work in them.
func (d *Directory) removeAllMembers(ctx context.Context, w *write, orgs []db.OrganizationID) error {
	fallback, err := d.lockDefaultOrganization(ctx)
	if err != nil {
		return err
	}
	// The users are locked in the order in which every write locks them, so that
	// no other write takes a user who is not moved out of their other organization.
	if _, err := w.NewRaw(`select count(*) from (select from users where id in (select user_id from memberships where org_id = any(?))
		order by id for no key update) locked`, idArray(orgs)).Exec(ctx); err != nil {
		return err
	}
	if err := d.lockHeld(ctx, "g.org_id = any($1)", orgs); err != nil {
		return err
	}
	for _, kind := range []grantKind{roleGrants, permissionGrants} {
		if _, err := w.ExecContext(ctx, "update "+kind.table+" g set "+endGrantSQL+" where g.org_id = any(?) and g.live", append(w.endGrantArgs(), idArray(orgs))...); err != nil {
			return err
		}
	}
	if _, err := w.revokeKeys(ctx, "k.org_id = any(?)", idArray(orgs)); err != nil {
		return err
	}
	inhabited, err := d.withMembers(ctx, orgs)
	if err != nil {
		return err
	}
	for _, org := range inhabited {
		if err := d.moveMembers(ctx, w, org, fallback); err != nil {
			return err
		}
		if _, err := w.ExecContext(ctx, "delete from memberships where org_id = ?", org); err != nil {
			return err
		}
	}
	return nil
}

// withMembers returns the organizations among these that have members.
func (d *Directory) withMembers(ctx context.Context, orgs []db.OrganizationID) ([]db.OrganizationID, error) {
	return db.Select[db.OrganizationID](ctx, d.db, "select o from unnest($1::uuid[]) o where exists (select from memberships m where m.org_id = o) order by o", orgs)
}

// leaving is how many members leave a deleted organization at a time, which bounds
// the memory that this takes; tests have fewer.
var leaving = 5000

// leaver is a member who is to leave.
type leaver struct {
	db.Membership `bun:",extend"`
	// Alone reports that the member belongs to no other organization.
	Alone bool
}

// leaversText looks the other memberships up by an index for each leaver: "not exists"
// would read all memberships there are for each batch.
const leaversText = `
select m.*, (select true from memberships other where other.user_id = m.user_id and other.org_id <> $1 and other.org_id <> $2 limit 1) is null as alone
from memberships m where m.org_id = $1 and m.user_id > $3 order by m.user_id limit $4`

// moveMembers records that all members leave the organization, and brings those
// who belong to no other one into the fallback.
func (d *Directory) moveMembers(ctx context.Context, w *write, org db.OrganizationID, fallback *db.Organization) error {
	for last := (db.UserID{}); ; {
		leavers, err := db.Select[leaver](ctx, d.db, leaversText, org, db.Root, last, leaving)
		if err != nil || len(leavers) == 0 {
			return err
		}
		var withoutOrganization []newcomer
		for _, m := range leavers {
			if err := w.Record(changes.MembershipDeleted, m.ID.String(), &org, memberValues(m.Membership), nil); err != nil {
				return err
			}
			if m.Alone {
				withoutOrganization = append(withoutOrganization, newcomer{m.UserID, m.Status})
			}
		}
		if len(withoutOrganization) > 0 {
			if _, err := d.join(ctx, w, fallback, withoutOrganization, nil, access.Allowance{}); err != nil {
				return err
			}
		}
		if err := w.Summarize(ctx); err != nil {
			return err
		}
		last = leavers[len(leavers)-1].UserID
	}
}
