// Package impact works out what a write gave to members and took from them. It
// compares when checks answer yes from the moment of the write on with when they
// would have done so without it, for each member and each key. It knows no rules:
// who may see an impact is for the caller to decide.
package impact

import (
	"context"
	"time"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// PermissionChange is a time during which checks of a key answer otherwise for a
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

// Comparison compares what members hold after a write with what they would hold
// without it. It reads the facts in the database, and the moment that the write left
// in them, when it is first asked: ask it within the write's transaction and before
// the next write, or as long as nobody changes what the write concerned.
type Comparison struct {
	concern func(ctx context.Context) (*Concern, error)
	compare func(ctx context.Context) (*comparator, error)
}

// New returns the comparison for the write that was made at the moment and recorded
// the changes.
func New(database *db.DB, engine *access.Engine, at time.Time, recorded []db.Change) *Comparison {
	concern := list.Lazily(func(ctx context.Context) (*Concern, error) {
		c := concernOf(at, recorded)
		err := c.readCrowds(ctx, database)
		return c, err
	})
	return &Comparison{concern, list.Lazily(func(ctx context.Context) (*comparator, error) {
		c, err := concern(ctx)
		if err != nil {
			return nil, err
		}
		return newComparator(ctx, database, engine, c)
	})}
}

// Concern returns what the write may have had an effect upon.
func (c *Comparison) Concern(ctx context.Context) (*Concern, error) { return c.concern(ctx) }

// sides has something for each of the two lists of an impact.
type sides[T any] [2]T

const (
	gained = iota
	lost
)

var lists = sides[string]{"impact.gained", "impact.lost"}

// Gained returns a page, which can only go forward, of the times in which users may
// do something that they could not have done without the write: ordered by
// organization, user, key and beginning.
func (c *Comparison) Gained(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return c.page(ctx, page, gained)
}

// Lost is Gained for what users could have done without the write, and may not do.
func (c *Comparison) Lost(ctx context.Context, page list.Page) (*list.Connection[PermissionChange], error) {
	return c.page(ctx, page, lost)
}

func (c *Comparison) page(ctx context.Context, page list.Page, side int) (*list.Connection[PermissionChange], error) {
	return list.Source[PermissionChange]{
		Name: lists[side], Type: list.UUIDTimeText, Cursor: (*PermissionChange).cursor,
		Read: func(ctx context.Context, s list.Span) ([]*PermissionChange, error) {
			comparator, err := c.compare(ctx)
			if err != nil {
				return nil, err
			}
			return comparator.changesAfter(ctx, positionOf(s.After), side, s.Limit+1)
		},
		Count: func(ctx context.Context) (int, error) {
			comparator, err := c.compare(ctx)
			if err != nil {
				return 0, err
			}
			counted, err := comparator.counted(ctx)
			if err != nil {
				return 0, err
			}
			return counted.number[side], nil
		},
	}.Page(ctx, page)
}
