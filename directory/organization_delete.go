package directory

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// DeleteOrganization takes all members out of the organization and ends everything
// that was granted there. Users who would be left without any organization move to
// the default one, with its default roles. A tombstone remains, because history
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
		before := *org
		if err := d.removeAllMembers(ctx, w, org); err != nil {
			return err
		}
		if err := w.setDefaultRoles(ctx, org, nil, nil, access.Allowance{}); err != nil {
			return err
		}
		org.ExternalID, org.Properties, org.AutoJoinDomains = nil, json.RawMessage("{}"), []string{}
		org.Version, org.UpdatedAt, org.DeletedAt = org.Version+1, w.At, &w.At
		org.Derive()
		if _, err := w.NewUpdate().Model(org).WherePK().Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.OrganizationDeleted, id, &org.ID, before, nil)
	})
	return []string{id}, err
}

// removeAllMembers takes all members out of the organization, and revokes the API
// keys that work in it.
func (d *Directory) removeAllMembers(ctx context.Context, w *write, org *db.Organization) error {
	fallback, err := d.lockDefaultOrganization(ctx)
	if err != nil {
		return err
	}
	// The users are locked in the order in which every write locks them, so that
	// no other write takes a user who is not moved out of their other organization.
	if _, err := w.NewRaw(`select from users where id in (select user_id from memberships where org_id = ?)
		order by id for no key update`, org.ID).Exec(ctx); err != nil {
		return err
	}
	members, err := pointers(db.Select[db.Membership](ctx, d.db, "select * from memberships where org_id = $1 order by user_id", org.ID))
	if err != nil {
		return err
	}
	withoutOrganization, err := db.Select[db.UserID](ctx, d.db, `select m.user_id from memberships m where m.org_id = $1
		and not exists (select from memberships other where other.user_id = m.user_id and other.org_id <> all(array[$1, $2::uuid])) order by m.user_id`, org.ID, db.Root)
	if err != nil {
		return err
	}
	if len(members) > 0 {
		if err := w.leave(ctx, members); err != nil {
			return err
		}
	}
	if len(withoutOrganization) > 0 {
		if _, err := d.join(ctx, w, fallback, withoutOrganization, nil, access.Allowance{}); err != nil {
			return err
		}
	}
	return w.revokeKeys(ctx, "k.org_id = ?", org.ID)
}
