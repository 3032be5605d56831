package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// findOrganizations reads the organizations that the references name, in their
// order; nil where there is none, or none within reach (nil: all). The root is
// among them, for withoutRoot to drop. lock, such as "for share", keeps others
// from writing to them.
func (d *Directory) findOrganizations(ctx context.Context, refs []*OrganizationRef, reach *db.OrganizationID, lock string) ([]*db.Organization, error) {
	values := map[string][]any{}
	for _, ref := range refs {
		if look := ref.lookUp(); look.ok {
			values[look.column] = append(values[look.column], look.value)
		}
	}
	// In order of id, so that two transactions never wait for one another.
	rows, err := db.Select[db.Organization](ctx, d.db, `select * from organizations where deleted_at is null and
		(id = any($1::uuid[]) or code = any($2::text[]) or external_id_key = any($3::text[])) and ($4::uuid is null or id = $4)
		order by id `+lock, typed[db.OrganizationID](values["id"]), typed[string](values["code"]), typed[string](values["external_id_key"]), reach)
	if err != nil {
		return nil, err
	}
	named := make(map[lookUp]*db.Organization, 3*len(rows))
	for i := range rows {
		o := &rows[i]
		named[lookUp{"id", o.ID, true}] = o
		named[lookUp{"code", o.Code, true}] = o
		if o.ExternalIDKey != nil {
			named[lookUp{"external_id_key", *o.ExternalIDKey, true}] = o
		}
	}
	organizations := make([]*db.Organization, len(refs))
	for i, ref := range refs {
		organizations[i] = named[ref.lookUp()]
	}
	return organizations, nil
}

// withoutRoot has nil in place of the root, where only an ordinary organization
// will do.
func withoutRoot(found []*db.Organization) []*db.Organization {
	for i, org := range found {
		if org != nil && org.ID == db.Root {
			found[i] = nil
		}
	}
	return found
}

// The locks on an organization. Whoever changes what is in one (members, grants)
// keeps it from being changed itself, which above all means suspended or
// deleted, but lets others do the like.
const (
	forMembers = "for share"
	forChange  = "for no key update"
)

// lockOrganization finds the organization in which the actor holds the
// permission, and keeps it from being suspended or deleted until the end of the
// transaction. One that does not exist is nil, and a fault at field; so is one
// where the actor does not hold it. The root has members like any other, and
// nothing else.
func (d *Directory) lockOrganization(ctx context.Context, w *write, need access.Permission, by OrganizationRef, field string) (*db.Organization, error) {
	reach, err := access.ScopeOf(ctx, need)
	if err != nil {
		return nil, err
	}
	return d.lockOneOrganization(ctx, w, by, reach, field, forMembers, need == access.MembersWrite)
}

// lockOrganizationToChange finds any organization but the root, and keeps others from it and
// from what is in it until the end of the transaction. One that does not exist
// is nil, and a fault.
func (d *Directory) lockOrganizationToChange(ctx context.Context, w *write, by OrganizationRef) (*db.Organization, error) {
	return d.lockOneOrganization(ctx, w, by, nil, "input.organization", forChange, false)
}

func (d *Directory) lockOneOrganization(ctx context.Context, w *write, by OrganizationRef, reach *db.OrganizationID, field, lock string, root bool) (*db.Organization, error) {
	found, err := d.findOrganizations(ctx, []*OrganizationRef{&by}, reach, lock)
	if err != nil {
		return nil, err
	}
	if !root {
		withoutRoot(found)
	}
	if found[0] == nil {
		*w.faults.List = append(*w.faults.List, noOrganization(field))
	}
	return found[0], nil
}

func noOrganization(field string) *problem.Error {
	return problem.At(problem.NotFound, field, "There is no such organization.")
}

// lockDefaultOrganization finds the default organization, and keeps it the
// default one until the end of the transaction.
func (d *Directory) lockDefaultOrganization(ctx context.Context) (*db.Organization, error) {
	// When it is switched while this waits for the lock, the statement finds the
	// old one to be the default no more, and does not know of the new one yet.
	const tries = 10
	for range tries {
		org, err := db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where is_default "+forMembers)
		if org != nil || err != nil {
			return org, err
		}
	}
	return nil, errNotSetUp
}

// organizationsForNewUser finds the organizations that a new user is to belong
// to, each once: the default one when refs is nil. They are kept from being
// suspended or deleted until the end of the transaction. Those that do not exist
// are faults.
func (d *Directory) organizationsForNewUser(ctx context.Context, w *write, refs []*OrganizationRef) ([]*db.Organization, error) {
	const field = "input.organizations"
	if refs == nil {
		org, err := d.lockDefaultOrganization(ctx)
		return []*db.Organization{org}, err
	}
	if len(refs) == 0 {
		w.faults.Add(problem.Invalid, field, "A user belongs to at least one organization.")
		return nil, nil
	}
	if !w.faults.size(field, len(refs), 1) {
		return nil, nil
	}
	found, err := d.findOrganizations(ctx, refs, nil, forMembers)
	if err != nil {
		return nil, err
	}
	for i, org := range withoutRoot(found) {
		if org == nil {
			*w.faults.List = append(*w.faults.List, noOrganization(element(field, i, len(refs))))
		}
	}
	return distinctNonNil(found), nil
}
