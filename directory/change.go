package directory

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
)

// ChangeFilter narrows the log of changes; what is nil does not matter.
type ChangeFilter struct {
	Action *string
	// Subject is the id of what was changed, Actor that of who changed it.
	Subject, Actor *string
	Organization   *OrganizationRef
	After, Before  *time.Time
}

// visibleChanges limits what is read to the changes that the actor may see: all,
// or those in one organization.
func visibleChanges(ctx context.Context) (reach *db.OrganizationID, conditions []condition, err error) {
	if reach, err = access.Reach(ctx, access.ChangesRead); err != nil || reach == nil {
		return nil, nil, err
	}
	return reach, []condition{where("c.org_id = ?", *reach)}, nil
}

// Changes gives one page of the log of changes, as far as the actor may see it,
// from the oldest on.
func (d *Directory) Changes(ctx context.Context, page Page, filter *ChangeFilter) (*Connection[db.Change], error) {
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
	return list[db.Change]{
		name: "changes", from: "changes c", alias: "c", columns: db.Columns[db.Change](d.db, nil), conditions: conditions,
		order: order[db.Change]{"AT", "c.at", "at", "timestamptz", func(c *db.Change) string { return timeValue(c.At) }},
		id:    func(c *db.Change) uuid.UUID { return uuid.UUID(c.ID) },
	}.page(ctx, d, page)
}

func (d *Directory) changeConditions(ctx context.Context, filter *ChangeFilter, reach *db.OrganizationID) ([]condition, error) {
	var conditions []condition
	for _, equal := range []struct {
		column string
		value  *string
	}{{"c.action", filter.Action}, {"c.subject", filter.Subject}, {"c.actor", filter.Actor}} {
		switch {
		case equal.value == nil:
		case strings.ContainsRune(*equal.value, 0): // which no text in the database does
			conditions = append(conditions, where("false"))
		default:
			conditions = append(conditions, filtered(equal.column+" = ?", *equal.value))
		}
	}
	if filter.After != nil {
		conditions = append(conditions, filtered("c.at > ?", *filter.After))
	}
	if filter.Before != nil {
		conditions = append(conditions, filtered("c.at < ?", *filter.Before))
	}
	if filter.Organization != nil {
		org, err := d.organizationOfChanges(ctx, *filter.Organization, reach)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, where("c.org_id = ?", *org))
	}
	return conditions, nil
}

// organizationOfChanges finds the organization whose changes are asked for. By
// its id one finds a deleted one too: its history is still there to be read. It
// fails with NOT_FOUND for one out of reach as for one that never was.
func (d *Directory) organizationOfChanges(ctx context.Context, by OrganizationRef, reach *db.OrganizationID) (*db.OrganizationID, error) {
	look := by.lookUp()
	if !look.ok {
		return nil, noOrganization("filter.organization")
	}
	var q statement
	q.add("select o.id from organizations o").where([]condition{
		where("o."+look.column+" = ?", look.value), where("o.deleted_at is null or ?", by.ID != nil), where("?::uuid is null or o.id = ?", reach, reach),
	})
	id, err := db.SelectOne[db.OrganizationID](ctx, d.db, q.text.String(), q.args...)
	if err == nil && id == nil {
		return nil, noOrganization("filter.organization")
	}
	return id, err
}
