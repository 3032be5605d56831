package directory

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// comparison compares the time lines of members before and after a write, from its
// moment on: SQL gives the roles and permissions that they were granted, and the
// catalogues of before and after tell by which keys these answer checks.
type comparison struct {
	*concern
	d             *Directory
	at            time.Time
	before, after *access.Catalogue
	// only these of what is granted matter; without a list, all.
	only map[grantKind][]uuid.UUID
	// empty tells that nothing was gained, or lost, as far as it is known already.
	empty sides[bool]
	// known are the differences that were worked out.
	known map[holding]sides[[]entry]
	// counted counts both lists, once.
	counted func(ctx context.Context) (*countedChanges, error)
}

func (d *Directory) compare(ctx context.Context, at time.Time, of *concern) (*comparison, error) {
	c := &comparison{d: d, concern: of, at: at, known: map[holding]sides[[]entry]{}}
	c.counted = list.Lazily(c.count)
	if c.nobody() {
		return c, nil
	}
	var err error
	if c.before, c.after, err = d.engine.CataloguesAround(ctx, at, c.names); err != nil {
		return nil, err
	}
	for _, id := range c.renamedPermissions {
		c.roles = append(c.roles, roleIDs(c.after.RolesWith(id))...)
	}
	if c.definitionsOnly() {
		c.narrow()
	}
	if len(c.places)+len(c.users) == 0 {
		// A role or an organization may have one member or a million: from here on,
		// the statements of the transaction are planned for the one at hand.
		_, err = d.db.Executor(ctx).NewRaw("set local plan_cache_mode = force_custom_plan").Exec(ctx)
	}
	return c, err
}

// narrow leaves out the grants that have nothing to do with the permissions which
// roles gained or lost, or which were renamed, so that there are few different
// holdings; and it finds out which of the lists is empty.
func (c *comparison) narrow() {
	moved := sides[[]db.PermissionID]{gained: slices.Clone(c.renamedPermissions), lost: slices.Concat(c.renamedPermissions, c.deletedPermissions)}
	for _, role := range slices.Concat(c.roles, c.deletedRoles) {
		before, after := c.before.RolePermissions(role), c.after.RolePermissions(role)
		moved[gained] = append(moved[gained], permissionIDs(without(after, before))...)
		moved[lost] = append(moved[lost], permissionIDs(without(before, after))...)
	}
	permissions := distinct(slices.Concat(moved[gained], moved[lost]))
	var roles []db.RoleID
	for _, id := range permissions {
		roles = append(roles, roleIDs(c.before.RolesWith(id))...)
		roles = append(roles, roleIDs(c.after.RolesWith(id))...)
	}
	c.only = map[grantKind][]uuid.UUID{roleGrants: raw(distinct(roles)), permissionGrants: raw(permissions)}
	c.empty = sides[bool]{gained: len(moved[gained]) == 0, lost: len(moved[lost]) == 0}
}

// without gives those of all that are not among the others.
func without(all, others []*db.Permission) []*db.Permission {
	return slices.DeleteFunc(slices.Clone(all), contains(others))
}

// difference returns what a member with that holding gained and lost.
func (c *comparison) difference(h holding) (sides[[]entry], error) {
	if known, ok := c.known[h]; ok {
		return known, nil
	}
	before, after, err := h.stints()
	if err != nil {
		return sides[[]entry]{}, err
	}
	if !h.ActiveBefore {
		before = nil
	}
	if !h.ActiveAfter {
		after = nil
	}
	difference := compareLines(&timeLine{c.before, before}, &timeLine{c.after, after}, c.at, c.d.engine)
	c.known[h] = difference
	return difference, nil
}

// batch is how many members are read at first for a page; tests have less.
var batch = 1000

// changesAfter gives up to so many of the changes behind the position, in order.
func (c *comparison) changesAfter(ctx context.Context, from impactPosition, side, limit int) ([]*PermissionChange, error) {
	if c.nobody() || c.empty[side] {
		return nil, nil
	}
	// Mostly everyone who is concerned gains or loses something.
	members, err := c.membersFrom(ctx, from.MemberKey, batch)
	if err != nil {
		return nil, err
	}
	changes, err := c.changesOf(members, from, side)
	if err != nil || len(changes) >= limit || len(members) < batch {
		return changes[:min(len(changes), limit)], err
	}
	// Hardly anyone does: those are to be found by what they hold.
	counted, err := c.counted(ctx)
	if err != nil || len(counted.holdings[side]) == 0 {
		return changes, err
	}
	last := members[batch-1].place()
	members, err = c.membersHolding(ctx, counted.holdings[side], last, 1+limit-len(changes))
	if err != nil {
		return nil, err
	}
	more, err := c.changesOf(members, impactPosition{MemberKey: last, key: behindAllKeys}, side)
	changes = append(changes, more...)
	return changes[:min(len(changes), limit)], err
}

// changesOf gives the changes of the members behind the position.
func (c *comparison) changesOf(members []memberHolding, from impactPosition, side int) ([]*PermissionChange, error) {
	var changes []*PermissionChange
	for _, member := range members {
		difference, err := c.difference(member.holding)
		if err != nil {
			return nil, err
		}
		for _, e := range difference[side] {
			if place := member.place(); from.precedes(place, e) {
				changes = append(changes, c.changeOf(place, e))
			}
		}
	}
	return changes, nil
}

func (c *comparison) changeOf(place access.MemberKey, e entry) *PermissionChange {
	change := &PermissionChange{Member: place, Key: e.key, Permission: e.permission, At: e.from, later: e.from}
	if e.from.IsZero() {
		change.At = c.at
	}
	if !e.until.IsZero() {
		change.Until = &e.until
	}
	return change
}

// countedChanges tells of each list how long it is, and with which holdings
// members are in it.
type countedChanges struct {
	number   sides[int]
	holdings sides[[]holding]
}

func (c *comparison) count(ctx context.Context) (*countedChanges, error) {
	var counted countedChanges
	if c.nobody() {
		return &counted, nil
	}
	holdings, err := c.countHoldings(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holdings {
		difference, err := c.difference(h.holding)
		if err != nil {
			return nil, err
		}
		for side, changes := range difference {
			if len(changes) > 0 {
				counted.number[side] += h.N * len(changes)
				counted.holdings[side] = append(counted.holdings[side], h.holding)
			}
		}
	}
	return &counted, nil
}
