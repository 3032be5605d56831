package directory

import (
	"context"

	"roster/access"
	"roster/db"
	"roster/problem"
)

// findOrganizations returns the organizations that the references name, in their
// order; nil for one that does not exist, or is not within reach (nil: all). The root
// is included: withoutRoot drops it. lock, such as "for share", keeps others from
// writing to them.
func (d *Directory) findOrganizations(ctx context.Context, refs []*OrganizationRef, reach *db.OrganizationID, lock string) ([]*db.Organization, error) {
	text, args := organizationsText(refs, reach, lock)
	rows, err := db.Select[db.Organization](ctx, d.db, text, args...)
	if err != nil {
		return nil, err
	}
	return matchOrganizations(refs, rows), nil
}

// organizationsText returns the statement of findOrganizations.
func organizationsText(refs []*OrganizationRef, reach *db.OrganizationID, lock string) (text string, args []any) {
	values := map[string][]any{}
	for _, ref := range refs {
		if look := ref.lookUp(); look.ok {
			values[look.column] = append(values[look.column], look.value)
		}
	}
	// In order of id, so that two transactions never wait for one another.
	return `select * from organizations where deleted_at is null and
		(id = any($1::uuid[]) or code = any($2::text[]) or external_id_key = any($3::text[])) and ($4::uuid is null or id = $4)
		order by id ` + lock, []any{typed[db.OrganizationID](values["id"]), typed[string](values["code"]), typed[string](values["external_id_key"]), reach}
}

// matchOrganizations returns the organization that each reference names; nil for one
// that is not among the rows.
func matchOrganizations(refs []*OrganizationRef, rows []db.Organization) []*db.Organization {
	named := make(map[lookUp]*db.Organization, 3*len(rows))
	for i := range rows {
		o := &rows[i]
		named[lookUp{column: "id", value: o.ID, ok: true}] = o
		named[lookUp{column: "code", value: o.Code, ok: true}] = o
		if o.ExternalIDKey != nil {
			named[lookUp{column: "external_id_key", value: *o.ExternalIDKey, ok: true}] = o
		}
	}
	organizations := make([]*db.Organization, len(refs))
	for i, ref := range refs {
		organizations[i] = named[ref.lookUp()]
	}
	return organizations
}

// withoutRoot replaces the root by nil, for callers that need an ordinary
// organization.
func withoutRoot(found []*db.Organization) []*db.Organization {
	for i, org := range found {
		if org != nil && org.ID == db.Root {
			found[i] = nil
		}
	}
	return found
}

// The locks on an organization. A write to its contents (members, grants) keeps it
// from being changed itself, above all from being suspended or deleted, but does not
// keep out other writes of that kind.
const (
	forMembers = "for share"
	forChange  = "for no key update"
)

// lockOrganization returns the organization in which the actor holds the permission,
// and keeps it from being suspended or deleted until the end of the transaction. If it
// does not exist, or the actor does not hold the permission there, it returns nil and
// adds a fault at field. The root has members like any other organization, and
// nothing else.
func (d *Directory) lockOrganization(ctx context.Context, w *write, need access.Permission, by OrganizationRef, field string) (*db.Organization, error) {
	reach, err := access.ScopeOf(ctx, need)
	if err != nil {
		return nil, err
	}
	return d.lockOneOrganization(ctx, w, by, reach, field, forMembers, need == access.MembersWrite)
}

// lockOrganizationToChange returns any organization but the root, and keeps others
// from it and its contents until the end of the transaction. It interrupts what the
// organization's API keys are doing, whose locks would overlap without end. If the
// organization does not exist, it returns nil and adds a fault.
func (d *Directory) lockOrganizationToChange(ctx context.Context, w *write, by OrganizationRef) (*db.Organization, error) {
	found, err := d.findOrganizations(ctx, []*OrganizationRef{&by}, nil, "")
	if err != nil {
		return nil, err
	}
	if withoutRoot(found); found[0] != nil {
		d.Writer.Ends(ctx, found[0].ID.String())
	}
	return d.lockOneOrganization(ctx, w, by, nil, "input.organization", forChange, false)
}

func (d *Directory) lockOneOrganization(ctx context.Context, w *write, by OrganizationRef, reach *db.OrganizationID, field, lock string, root bool) (*db.Organization, error) {
	var b db.Batch
	text, args := organizationsText([]*OrganizationRef{&by}, reach, lock)
	rows := db.Queue[db.Organization](&b, text, args...)
	if err := w.RunThenReadClock(ctx, &b); err != nil {
		return nil, err
	}
	found := matchOrganizations([]*OrganizationRef{&by}, rows.All)
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

// lockDefaultOrganization returns the default organization, and keeps it the default
// one until the end of the transaction.
func (d *Directory) lockDefaultOrganization(ctx context.Context) (*db.Organization, error) {
	// If another organization becomes the default one while this waits for the lock, the
	// statement finds that the old one no longer is, and does not know the new one yet.
	const tries = 10
	for range tries {
		org, err := db.SelectOne[db.Organization](ctx, d.db, "select * from organizations where is_default "+forMembers)
		if org != nil || err != nil {
			return org, err
		}
	}
	return nil, errNotSetUp
}

// organizationsForNewUser returns the organizations that a new user is to belong
// to, each once; if refs is nil, the default one. It keeps them from being suspended
// or deleted until the end of the transaction, and adds a fault for each that does not
// exist. One that the actor must not know of is as good as none; whoever must not add members
// anywhere learns just that, of both.
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
		if org == nil || !mayKnow(w.actor, org) {
			if !w.actor.HoldsSomewhere(access.MembersWrite) {
				return nil, access.Forbidden(access.MembersWrite)
			}
			found[i] = nil
			*w.faults.List = append(*w.faults.List, noOrganization(element(field, i, len(refs))))
		}
	}
	return distinctNonNil(found), nil
}
