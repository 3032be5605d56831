package directory

import (
	"context"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// ChangeFilter narrows the log of changes; fields that are nil do not matter.
type ChangeFilter struct {
	Action *string
	// Subject is the id of what was changed, Actor the id of who changed it.
	Subject, Actor *string
	Organization   *OrganizationRef
	After, Before  *time.Time
}

// visibleChanges returns the organization to which the actor's sight is limited (nil:
// none), and conditions on the changes that the actor may see.
func visibleChanges(ctx context.Context) (reach *db.OrganizationID, conditions []list.Clause, err error) {
	if reach, err = access.ScopeOf(ctx, access.ChangesRead); err != nil || reach == nil {
		return nil, nil, err
	}
	return reach, []list.Clause{list.Where("c.org_id = ?", *reach)}, nil
}

// Changes returns a page of the log of changes, as far as the actor may see it,
// from the oldest on.
func (d *Directory) Changes(ctx context.Context, page list.Page, filter *ChangeFilter) (*list.Connection[db.Change], error) {
	reach, conditions, err := visibleChanges(ctx)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		narrower, err := d.changeConditions(ctx, filter, reach)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, narrower...)
	}
	return list.Query[db.Change]{
		Name: "changes", From: "changes c", Alias: "c", Columns: db.Columns[db.Change](d.db, nil), Conditions: conditions,
		Key: list.Key[db.Change]{
			Name: "AT", Expression: "c.at", Column: "at", Type: list.Time,
			Value: func(c *db.Change) string { return list.TimeValue(&c.At) },
		},
		ID: func(c *db.Change) uuid.UUID { return uuid.UUID(c.ID) },
	}.Page(ctx, d.db, page)
}

// maxRecorded is more bytes than an action, a subject or an actor has in the log.
const maxRecorded = 200

func (d *Directory) changeConditions(ctx context.Context, filter *ChangeFilter, reach *db.OrganizationID) ([]list.Clause, error) {
	var conditions []list.Clause
	for _, equal := range []struct {
		column string
		value  *string
	}{{"c.action", filter.Action}, {"c.subject", filter.Subject}, {"c.actor", filter.Actor}} {
		switch {
		case equal.value == nil:
		case len(*equal.value) > maxRecorded || !db.Storable(*equal.value): // which no text of the log does
			conditions = append(conditions, list.Where("false"))
		default:
			conditions = append(conditions, list.Filter(equal.column+" = ?", *equal.value))
		}
	}
	if filter.After != nil {
		conditions = append(conditions, list.Filter("c.at > ?", *filter.After))
	}
	if filter.Before != nil {
		conditions = append(conditions, list.Filter("c.at < ?", *filter.Before))
	}
	if filter.Organization != nil {
		org, err := d.organizationOfChanges(ctx, *filter.Organization, reach)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, list.Where("c.org_id = ?", *org))
	}
	return conditions, nil
}

// organizationOfChanges returns the organization whose changes are asked for. An id
// finds a deleted organization too: its history can still be read. It returns
// NOT_FOUND both for an organization out of reach and for one that never existed.
func (d *Directory) organizationOfChanges(ctx context.Context, by OrganizationRef, reach *db.OrganizationID) (*db.OrganizationID, error) {
	look := by.lookUp()
	if !look.ok {
		return nil, noOrganization("filter.organization")
	}
	q := list.NewStatement("changes of an organization").Add("select o.id from organizations o").Where(
		list.Where("o."+look.column+" = ?", look.value), list.Where("o.deleted_at is null or ?", by.ID != nil), list.Where("?::uuid is null or o.id = ?", reach, reach))
	id, err := list.SelectOne[db.OrganizationID](ctx, d.db, q)
	if err == nil && id == nil {
		return nil, noOrganization("filter.organization")
	}
	return id, err
}
