package directory

import (
	"context"
	"encoding/json"

	"roster/access"
	"roster/changes"
	"roster/db"
)

// The reasons why an undo leaves an organization as it is.
const (
	organizationInUse   = "Somebody belongs to this organization, or has changed something in it since: it stays."
	organizationChanged = "Somebody has changed this organization since: it stays as it is."
)

// WithdrawOrganizations takes back what an import has done to the organizations: it deletes
// those that the import has made, and restores the names of others. It leaves an organization
// as it is, and returns why, if somebody else has changed it since; one that the import has
// made, too, if anybody belongs to it, or anything was changed in it. The actor must be
// allowed to write organizations.
//
// However many there are, it takes a fixed number of statements.
func (d *Directory) WithdrawOrganizations(ctx context.Context, id db.ImportID, organizations []db.OrganizationID) (left map[db.OrganizationID]string, err error) {
	err = d.change(ctx, access.OrganizationsWrite, func(ctx context.Context, w *write) error {
		traces, err := d.organizationTraces(ctx, id, organizations)
		if err != nil {
			return err
		}
		if err := w.ReadClock(ctx); err != nil {
			return err
		}
		left = map[db.OrganizationID]string{}
		var made, renamed []*db.Organization
		for _, t := range traces {
			switch {
			case t.isMade() && t.inUse:
				left[t.org.ID] = organizationInUse
			case t.isMade():
				made = append(made, t.org)
			case t.touched:
				left[t.org.ID] = organizationChanged
			default:
				before := *t.org
				if t.rename(); t.org.Name == before.Name {
					continue
				}
				t.org.DeriveFrom(&before)
				t.org.Version, t.org.UpdatedAt = t.org.Version+1, w.At
				if err := w.Record(changes.OrganizationUpdated, t.org.ID.String(), &t.org.ID, before, t.org); err != nil {
					return err
				}
				renamed = append(renamed, t.org)
			}
		}
		if err := d.deleteOrganizations(ctx, w, made); err != nil || len(renamed) == 0 {
			return err
		}
		return w.updateOrganizations(ctx, d, renamed)
	})
	return left, err
}

// organizationTrace is what an import has done to an organization, and what others have since.
type organizationTrace struct {
	org *db.Organization
	// done are the changes of the organization by the import, first and last.
	done []db.Change
	// touched is true if others have changed the organization since.
	touched bool
	// inUse is true if anybody belongs to the organization, or others have changed anything in
	// it at any time.
	inUse bool
}

// isMade reports whether the import has made the organization.
func (t *organizationTrace) isMade() bool {
	return len(t.done) > 0 && changes.ActionByName(t.done[0].Action) == changes.OrganizationCreated
}

// rename restores the name that the organization had before the import.
func (t *organizationTrace) rename() {
	for _, c := range t.done {
		var before struct{ Name string }
		if json.Unmarshal(c.Before, &before) == nil && before.Name != "" {
			t.org.Name = before.Name
			return
		}
	}
}

// organizationTraces reads what the import has done to the organizations, which it locks, in
// the order of their ids. It leaves out those that are deleted.
func (d *Directory) organizationTraces(ctx context.Context, id db.ImportID, organizations []db.OrganizationID) ([]*organizationTrace, error) {
	rows, err := db.Select[db.Organization](ctx, d.db, "select * from organizations where id = any($1) and deleted_at is null order by id "+forChange, organizations)
	if err != nil {
		return nil, err
	}
	subjects := make([]string, len(rows))
	for i := range rows {
		subjects[i] = rows[i].ID.String()
	}
	done, later, err := d.changesOf(ctx, id, subjects)
	if err != nil {
		return nil, err
	}
	used, err := d.organizationsInUse(ctx, id, organizations)
	if err != nil {
		return nil, err
	}
	traces := make([]*organizationTrace, len(rows))
	for i := range rows {
		t := &organizationTrace{org: &rows[i], done: done[subjects[i]]}
		t.touched, t.inUse = isLater(later[subjects[i]], t.done), used[t.org.ID] || t.org.IsDefault
		traces[i] = t
	}
	return traces, nil
}

// organizationsInUse returns the organizations that have members, or in which others than the
// import have changed anything.
func (d *Directory) organizationsInUse(ctx context.Context, id db.ImportID, organizations []db.OrganizationID) (map[db.OrganizationID]bool, error) {
	inhabited, err := d.withMembers(ctx, organizations)
	if err != nil {
		return nil, err
	}
	changed, err := db.SelectByIndex[db.OrganizationID](ctx, d.db, `select o from unnest($2::uuid[]) o where exists (
		select from changes c where c.org_id = o and c.import_id is distinct from $1)`, id, organizations)
	used := make(map[db.OrganizationID]bool, len(inhabited)+len(changed))
	for _, org := range append(inhabited, changed...) {
		used[org] = true
	}
	return used, err
}
