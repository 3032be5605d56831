package directory

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/list"
)

// PermissionChange is a time during which checks by a key answer otherwise for a
// user in an organization than they would have without a write.
type PermissionChange struct {
	Member access.MemberKey
	// Key is what checks ask for, and Permission what it names.
	Key        string
	Permission *db.Permission
	// At is when the time begins: with the write, or later.
	At time.Time
	// Until is when it ends; nil if it has no end.
	Until *time.Time

	// later is At, but zero if the time begins with the write.
	later time.Time
}

// Impact is what one write gave and took: it compares, for each member and each
// key, when checks answer yes from the write on with when they would have done so
// without it. It is worked out when it is asked for, from the facts in the
// database and the moment that the write left in them: within the write's
// transaction and before the next write, or as long as nobody changes what it
// concerned.
type Impact struct {
	d       *Directory
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
	return &Impact{d, list.Lazily(func(ctx context.Context) (*comparison, error) { return d.compare(ctx, at, concerned(rows)) })}
}

// Gained returns a page, which can only go forward, of the times in which users may
// do something that they could not have done without the write: ordered by
// organization, user, key and beginning.
func (i *Impact) Gained(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return i.page(ctx, page, gained)
}

// Lost is Gained for what users could have done without the write, and may not do.
func (i *Impact) Lost(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return i.page(ctx, page, lost)
}

func (i *Impact) page(ctx context.Context, page list.Page, side int) (*list.Connection[PermissionChange], error) {
	if _, err := access.ScopeOf(ctx, access.MembersRead); err != nil {
		return nil, err
	}
	return list.Source[PermissionChange]{
		Name: impactLists[side], Type: list.UUIDTimeText, Cursor: (*PermissionChange).cursor,
		Read: func(ctx context.Context, s list.Span) ([]*PermissionChange, error) {
			c, err := i.compare(ctx)
			if err != nil {
				return nil, err
			}
			return c.changesAfter(ctx, positionOf(s.After), side, s.Limit+1)
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

// cursor has the organization, the beginning and the key in its value. What begins
// with the write has no time in it, so that the cursors of a rehearsal stay good.
func (p *PermissionChange) cursor() list.Cursor {
	var later *time.Time
	if !p.later.IsZero() {
		later = &p.later
	}
	return list.Cursor{Value: uuid.UUID(p.Member.Organization).String() + " " + list.TimeValue(later) + " " + p.Key, ID: uuid.UUID(p.Member.User)}
}

// impactPosition is a position in the list of an impact: behind what begins then,
// by that key, at the place. A zero time is that of the write.
type impactPosition struct {
	access.MemberKey
	key   string
	later time.Time
}

// behindAllKeys follows every key, which consist of ASCII.
const behindAllKeys = "\u00ff"

// positionOf reads a cursor; nil is the beginning of the list.
func positionOf(c *list.Cursor) impactPosition {
	if c == nil {
		return impactPosition{}
	}
	organization, rest, _ := strings.Cut(c.Value, " ")
	at, key, _ := strings.Cut(rest, " ")
	later, _ := time.Parse(time.RFC3339Nano, at) // zero for what begins with the write
	return impactPosition{access.MemberKey{User: db.UserID(c.ID), Organization: db.OrganizationID(uuid.MustParse(organization))}, key, later}
}

// precedes reports whether the entry of a member at the place follows the position.
func (p impactPosition) precedes(place access.MemberKey, e entry) bool {
	switch {
	case place != p.MemberKey:
		return true // members were read from there on
	case e.key != p.key:
		return e.key > p.key
	}
	return e.from.After(p.later)
}
