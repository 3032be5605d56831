package directory

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
	"roster/problem"
)

// OrganizationFilter narrows a list of organizations; fields that are nil do not
// matter.
type OrganizationFilter struct {
	Search *string
	Status *db.Status
}

// OrganizationOrder sorts a list of organizations.
type OrganizationOrder struct {
	Field     list.OrderField
	Direction list.Direction
}

var organizationOrders = map[list.OrderField]list.Key[db.Organization]{
	"CREATED_AT": {
		Name: "CREATED_AT", Expression: "o.created_at", Column: "created_at", Type: list.Time,
		Value: func(o *db.Organization) string { return list.TimeValue(&o.CreatedAt) },
	},
	"NAME": {
		Name: "NAME", Expression: "o.name_key", Column: "name_key", Type: list.Text,
		Value: func(o *db.Organization) string { return o.NameKey },
	},
	"CODE": {
		Name: "CODE", Expression: "o.code", Column: "code", Type: list.Text,
		Value: func(o *db.Organization) string { return o.Code },
	},
}

// visibleOrganizations returns conditions on the organizations that the actor may
// see: all that exist, or one.
func visibleOrganizations(ctx context.Context) ([]list.Clause, error) {
	org, err := access.ScopeOf(ctx, access.OrganizationsRead)
	if err != nil {
		return nil, err
	}
	conditions := []list.Clause{list.Where("o.deleted_at is null")}
	if org != nil {
		conditions = append(conditions, list.Where("o.id = ?", *org))
	}
	return conditions, nil
}

// Organizations returns a page of the organizations that the actor may see, with the
// columns of fields. Without an order they are sorted by time of creation.
func (d *Directory) Organizations(ctx context.Context, page list.Page, filter *OrganizationFilter, by *OrganizationOrder, fields list.Fields) (*list.Connection[db.Organization], error) {
	conditions, err := visibleOrganizations(ctx)
	if err != nil {
		return nil, err
	}
	conditions = append(conditions, list.Where("o.id <> ?", db.Root))
	if filter != nil && filter.Search != nil {
		search, err := list.Search("o.search", "filter.search", *filter.Search)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, search...)
	}
	if filter != nil && filter.Status != nil {
		conditions = append(conditions, list.Filter("o.status = ?", *filter.Status))
	}
	if by == nil {
		by = &OrganizationOrder{Field: "CREATED_AT"}
	}
	return list.Query[db.Organization]{
		Name: "organizations", From: "organizations o", Alias: "o", Columns: db.Columns[db.Organization](d.db, fields), Conditions: conditions,
		Key: organizationOrders[by.Field], Descending: by.Direction == list.Descending,
		ID: func(o *db.Organization) uuid.UUID { return uuid.UUID(o.ID) },
	}.Page(ctx, d.db, page)
}

// Organization returns an organization that the actor may see; nil if there is no
// such organization.
func (d *Directory) Organization(ctx context.Context, by OrganizationRef, fields list.Fields) (*db.Organization, error) {
	conditions, err := visibleOrganizations(ctx)
	if err != nil {
		return nil, err
	}
	return lookUpRow[db.Organization](ctx, d, "organizations", "o", conditions, by.lookUp(), fields)
}

// OrganizationsByID reads organizations that were reached through something that
// the actor may see. Their order is undefined. Tombstones are included, because
// history refers to them.
func (d *Directory) OrganizationsByID(ctx context.Context, ids []db.OrganizationID, fields list.Fields) ([]db.Organization, error) {
	rows, err := db.Select[db.Organization](ctx, d.db,
		"select "+list.Columns[db.Organization](d.db, "o", fields)+" from organizations o where o.id = any($1)", ids)
	for i := range rows {
		asSeen(ctx, &rows[i])
	}
	return rows, err
}

// asSeen empties the fields that the actor may not see of an organization that was
// reached through something else.
func asSeen(ctx context.Context, org *db.Organization) {
	if seesNameOnly(ctx, org.ID) {
		org.ExternalID, org.Properties, org.AutoJoinDomains, org.AllowSelfSignUp = nil, json.RawMessage("{}"), []string{}, false
	}
}

// seesNameOnly reports whether the actor sees only the names of the organization: as
// a member, or with a key for it, without permission to read anything there. To write
// organizations includes reading them.
func seesNameOnly(ctx context.Context, org db.OrganizationID) bool {
	actor := access.ActorOf(ctx)
	return !actor.Holds(access.OrganizationsRead, org) && !actor.Holds(access.MembersRead, org) && !actor.HoldsEverywhere(access.OrganizationsWrite)
}

// CreateOrganizationInput describes a new organization.
type CreateOrganizationInput struct {
	// Code is made from the name if it is nil.
	Code            *string
	Name            string
	ExternalID      *string
	Properties      json.RawMessage
	AutoJoinDomains []string
	AllowSelfSignUp bool
	// DefaultRoles are granted to new members; without any, the business's are.
	DefaultRoles []*RoleRef
}

// CreateOrganization creates an organization without members. A code that is made
// from the name is a free one; it returns CONFLICT if a code that was asked for is
// taken. To let people join by themselves, the actor must be allowed to add members.
func (d *Directory) CreateOrganization(ctx context.Context, in CreateOrganizationInput) (*db.Organization, error) {
	var org *db.Organization
	err := d.change(ctx, access.OrganizationsWrite, func(ctx context.Context, w *write) error {
		org = w.faults.newOrganization(in)
		org.CreatedAt, org.UpdatedAt = w.At, w.At
		var err error
		if org.AutoJoinDomains, err = w.joinDomains(ctx, "input.autoJoinDomains", in.AutoJoinDomains, org.ID); err != nil {
			return err
		}
		w.mayOpen(&db.Organization{ID: org.ID}, org)
		roles, allowance, err := d.rolesForNewcomers(ctx, w, &organizationValues{Organization: org}, in.DefaultRoles)
		if err != nil {
			return err
		}
		return w.insertOrganization(ctx, org, roles, allowance)
	})
	return org, err
}

func (f *faults) newOrganization(in CreateOrganizationInput) *db.Organization {
	return &db.Organization{
		ID:              db.NewID[db.OrganizationKind](),
		Code:            f.code("input.code", in.Code),
		Name:            f.name("input.name", in.Name),
		ExternalID:      f.identifier("input.externalId", in.ExternalID, maxExternalID),
		Properties:      f.properties("input.properties", in.Properties),
		AutoJoinDomains: []string{},
		AllowSelfSignUp: in.AllowSelfSignUp,
		Status:          db.Active,
		Version:         1,
	}
}

// organizationValues are the values of an organization in the log of changes.
type organizationValues struct {
	*db.Organization
	DefaultRoles []string `json:"defaultRoles"`
	// defaults are the default roles before a write, whose keys may change meanwhile.
	defaults []db.RoleID
}

// insertOrganization writes a new organization, with a code made from its name
// if it has none.
func (w *write) insertOrganization(ctx context.Context, org *db.Organization, roles []*db.Role, by access.Allowance) error {
	if err := w.insertWithCode(ctx, org); err != nil {
		return err
	}
	if err := w.setDomains(ctx, org, nil); err != nil {
		return err
	}
	if err := w.setDefaultRoles(ctx, org, roles, nil, by); err != nil {
		return err
	}
	return w.Record(changes.OrganizationCreated, org.ID.String(), &org.ID, nil, organizationValues{Organization: org, DefaultRoles: roleKeys(roles)})
}

// UpdateOrganizationInput changes the fields that are set; null empties one.
type UpdateOrganizationInput struct {
	Organization OrganizationRef
	// IfVersion is the version that the organization must have.
	IfVersion        *int
	Name, ExternalID graphql.Omittable[*string]
	Properties       graphql.Omittable[json.RawMessage]
	AutoJoinDomains  graphql.Omittable[[]string]
	AllowSelfSignUp  graphql.Omittable[*bool]
	DefaultRoles     graphql.Omittable[[]*RoleRef]
}

// UpdateOrganization changes an organization's names and how it is joined. Its code
// stays. To let more people join by themselves, the actor must be allowed to add members.
func (d *Directory) UpdateOrganization(ctx context.Context, in UpdateOrganizationInput) (*db.Organization, error) {
	return d.changeOrganization(ctx, in.Organization, changes.OrganizationUpdated, func(ctx context.Context, w *write, org *organizationValues) error {
		f, before := &w.faults, *org.Organization
		f.version(in.IfVersion, org.Version)
		if in.Name.IsSet() && textValue(in.Name.Value()) != org.Name {
			org.Name = f.name("input.name", textValue(in.Name.Value()))
		}
		editText(of(f.identifier, maxExternalID), "input.externalId", in.ExternalID, &org.ExternalID)
		f.setProperties("input.properties", in.Properties, &org.Properties)
		if in.AutoJoinDomains.IsSet() {
			var err error
			if org.AutoJoinDomains, err = w.joinDomains(ctx, "input.autoJoinDomains", in.AutoJoinDomains.Value(), org.ID); err != nil {
				return err
			}
		}
		f.flag("input.allowSelfSignUp", in.AllowSelfSignUp, &org.AllowSelfSignUp)
		w.mayOpen(&before, org.Organization)
		if !in.DefaultRoles.IsSet() {
			return nil
		}
		roles, allowance, err := d.rolesForNewcomers(ctx, w, org, in.DefaultRoles.Value())
		if err != nil || len(*f.List) > 0 {
			return err
		}
		if len(roles) == len(org.defaults) && len(newRoles(roles, org.defaults)) == 0 {
			return nil
		}
		org.DefaultRoles = roleKeys(roles)
		return w.setDefaultRoles(ctx, org.Organization, roles, org.defaults, allowance)
	})
}

// mayOpen adds the fault FORBIDDEN if more people can join the organization by themselves
// than before, and the actor must not add members to it: each of them becomes one.
func (w *write) mayOpen(before, after *db.Organization) {
	if !before.AllowSelfSignUp && after.AllowSelfSignUp {
		w.mayLetJoin(after.ID, "input.allowSelfSignUp")
	}
	if !isSubset(after.AutoJoinDomains, before.AutoJoinDomains) {
		w.mayLetJoin(after.ID, "input.autoJoinDomains")
	}
}

// isSubset reports whether each of some domains is among all.
func isSubset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(domain string) bool { return !slices.Contains(all, domain) })
}

// mayLetJoin adds the fault FORBIDDEN at the field that lets people join the organization
// unless the actor may add members to it.
func (w *write) mayLetJoin(org db.OrganizationID, field string) {
	if !w.actor.Holds(access.MembersWrite, org) {
		w.faults.Add(problem.Forbidden, field, "People become members by that, so it needs the permission %s.", access.MembersWrite)
	}
}

// OrganizationActionInput names the organization to act upon.
type OrganizationActionInput struct{ Organization OrganizationRef }

// SuspendOrganization makes everything that was granted in the organization count for
// nothing, until it is restored. The default organization cannot be suspended.
func (d *Directory) SuspendOrganization(ctx context.Context, in OrganizationActionInput) (*db.Organization, error) {
	return d.changeOrganization(ctx, in.Organization, changes.OrganizationSuspended, func(_ context.Context, w *write, org *organizationValues) error {
		org.Status = db.Suspended
		w.faults.notDefault(org.Organization)
		return nil
	})
}

// RestoreOrganization ends a suspension: what was granted counts again, so the actor
// must be allowed to hand it out.
func (d *Directory) RestoreOrganization(ctx context.Context, in OrganizationActionInput) (*db.Organization, error) {
	return d.changeOrganization(ctx, in.Organization, changes.OrganizationRestored, func(ctx context.Context, w *write, org *organizationValues) error {
		if org.Status == db.Active {
			return nil
		}
		org.Status = db.Active
		return d.mayRestore(ctx, w, access.OrganizationsWrite, suspension{grants: "g.org_id = $1", keys: "g.org_id = $1", alsoKeys: "false"}, org.ID)
	})
}

// notDefault adds the fault that the constraint organizations_default_is_active would
// report later.
func (f *faults) notDefault(org *db.Organization) {
	if org.IsDefault {
		f.Add(problem.Invalid, "input.organization",
			"The default organization cannot be suspended or deleted. Make another one the default first.")
	}
}

// changeOrganization calls edit to change the organization's row and default roles,
// and records the action if that made a difference. edit writes the default
// roles itself. If there is no such organization, edit gets an empty row, so that the
// rest of the input is checked as well.
func (d *Directory) changeOrganization(ctx context.Context, by OrganizationRef, action changes.Action,
	edit func(ctx context.Context, w *write, org *organizationValues) error,
) (*db.Organization, error) {
	var org *db.Organization
	err := d.change(ctx, access.OrganizationsWrite, func(ctx context.Context, w *write) error {
		var err error
		if org, err = d.lockOrganizationToChange(ctx, w, by); err != nil {
			return err
		}
		if org == nil {
			org = &db.Organization{}
		}
		roles, err := d.defaultRoles(ctx, []db.OrganizationID{org.ID})
		if err != nil {
			return err
		}
		old := *org
		before := organizationValues{&old, roleKeys(roles[0]), roleIDs(roles[0])}
		after := before
		after.Organization = org
		if err := edit(ctx, w, &after); err != nil {
			return err
		}
		org.DeriveFrom(&old)
		if reflect.DeepEqual(before, after) {
			return nil
		}
		org.Version, org.UpdatedAt = org.Version+1, w.At
		if err := w.save(ctx, org); err != nil {
			return err
		}
		if err := w.setDomains(ctx, org, old.AutoJoinDomains); err != nil {
			return err
		}
		return w.Record(action, org.ID.String(), &org.ID, before, after)
	})
	return org, err
}
