package directory

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
)

// PermissionChange is a permission that a user has effectively gained or lost in
// an organization.
type PermissionChange struct {
	Place      access.Place
	Permission *db.Permission
}

// Impact is which effective permissions one write gave and took. It is worked
// out when it is asked for, from the facts in the database and the moment that
// the write left in them: within the write's transaction and before the next
// write, or as long as nobody changes what it concerned.
//
// What was held before and what is held after are both taken as of now: what
// begins or ends by itself, or by others, is no part of it.
type Impact struct {
	compare func(ctx context.Context) (*comparison, error)
}

// sides has something for each of the two lists of an impact.
type sides[T any] [2]T

const (
	gained = iota
	lost
)

var impactLists = sides[string]{"impact.gained", "impact.lost"}

// Impact gives that of the last write in the transaction of ctx, to who may see
// members: a rehearsal would otherwise tell who holds what to whoever may define
// roles.
func (d *Directory) Impact(ctx context.Context) *Impact {
	done := changes.WrittenIn(ctx)
	rows, at := done.Last, done.At
	return &Impact{list.Lazily(func(ctx context.Context) (*comparison, error) { return d.compare(ctx, at, concerned(rows)) })}
}

// Gained gives a page, which can only go forward, of what users may do now and
// could not before: ordered by organization, user and key of the permission.
func (i *Impact) Gained(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return i.page(ctx, page, gained)
}

// Lost is Gained for what users could do before and may not now.
func (i *Impact) Lost(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return i.page(ctx, page, lost)
}

func (i *Impact) page(ctx context.Context, page list.Page, side int) (*list.Connection[PermissionChange], error) {
	if _, err := access.Reach(ctx, access.MembersRead); err != nil {
		return nil, err
	}
	return list.Source[PermissionChange]{
		Name: impactLists[side], Type: list.UUIDText, Cursor: (*PermissionChange).cursor,
		Read: func(ctx context.Context, s list.Span) ([]*PermissionChange, error) {
			c, err := i.compare(ctx)
			if err != nil {
				return nil, err
			}
			return c.changesAfter(ctx, placeOfCursor(s.After), side, s.Limit+1)
		},
		Count: func(ctx context.Context) (int, error) {
			c, err := i.compare(ctx)
			if err != nil {
				return 0, err
			}
			counted, err := c.counted(ctx)
			if err != nil {
				return 0, err
			}
			return counted.number[side], nil
		},
	}.Page(ctx, page)
}

// cursor has the organization and the permission's key in its value.
func (p *PermissionChange) cursor() list.Cursor {
	return list.Cursor{Value: uuid.UUID(p.Place.Organization).String() + " " + p.Permission.Key, ID: uuid.UUID(p.Place.User)}
}

// impactPlace is a place in the list of an impact: behind that key of the place.
type impactPlace struct {
	access.Place
	key string
}

// behindAllKeys follows every key, which consist of ASCII.
const behindAllKeys = "\u00ff"

// placeOfCursor reads a cursor; nil is the beginning of the list.
func placeOfCursor(c *list.Cursor) impactPlace {
	if c == nil {
		return impactPlace{}
	}
	organization, key, _ := strings.Cut(c.Value, " ")
	return impactPlace{access.Place{User: db.UserID(c.ID), Organization: db.OrganizationID(uuid.MustParse(organization))}, key}
}
