package directory

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// DeleteOrganization takes everybody out of the organization and ends all that
// was granted there; who would be left without any organization moves to the
// default one, with its default roles. What remains is a tombstone for history
// to refer to. The default organization cannot be deleted.
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
		if err := d.dissolve(ctx, w, org); err != nil {
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

// dissolve takes all members out of the organization, however many, and revokes
// the API keys that work in it.
func (d *Directory) dissolve(ctx context.Context, w *write, org *db.Organization) error {
	fallback, err := d.lockDefaultOrganization(ctx)
	if err != nil {
		return err
	}
	// The users are locked, in the order that everyone locks them in, so that
	// nobody takes away the other organization of one who is not moved.
	if _, err := w.NewRaw(`select count(*) from (select from users where id in (select user_id from memberships where org_id = ?)
		order by id for no key update) locked`, org.ID).Exec(ctx); err != nil {
		return err
	}
	for last := (db.UserID{}); ; {
		members, err := pointers(db.Select[db.Membership](ctx, d.db,
			"select * from memberships where org_id = $1 and user_id > $2 order by user_id limit $3", org.ID, last, leaving))
		if err != nil {
			return err
		}
		if len(members) == 0 {
			break
		}
		if err := d.moveAll(ctx, w, members, fallback); err != nil {
			return err
		}
		last = members[len(members)-1].UserID
	}
	return w.revokeKeys(ctx, "k.org_id = ?", org.ID)
}

// leaving is how many members leave a deleted organization at a time, which bounds
// the memory that this takes.
const leaving = 5000

// moveAll takes the members out of their organization, and those who belong to no
// other one into the fallback.
func (d *Directory) moveAll(ctx context.Context, w *write, members []*db.Membership, fallback *db.Organization) error {
	users := make([]db.UserID, len(members))
	for i, m := range members {
		users[i] = m.UserID
	}
	if err := w.leave(ctx, members); err != nil {
		return err
	}
	homeless, err := db.Select[db.UserID](ctx, d.db, `select u.id from unnest($1::uuid[]) u (id)
		where not exists (select from memberships m where m.user_id = u.id and m.org_id <> $2) order by u.id`, users, db.Root)
	if err != nil {
		return err
	}
	if len(homeless) > 0 {
		if _, err := d.join(ctx, w, fallback, homeless, nil, access.Allowance{}); err != nil {
			return err
		}
	}
	return w.Summarize(ctx)
}
