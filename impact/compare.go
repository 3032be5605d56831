package impact

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
	"roster/db/list"
)

// comparator compares the time lines of members before and after a write, from its
// moment on: SQL returns the roles and permissions that they were granted, and the
// catalogues of before and after return the keys for which these answer checks.
type comparator struct {
	*Concern
	db            *db.DB
	engine        *access.Engine
	before, after *access.Catalogue
	// only has the targets whose grants matter, by table; a table that it lacks
	// matters as a whole.
	only map[db.GrantTable][]uuid.UUID
	// empty says which lists are known to be empty.
	empty sides[bool]
	// known has the differences that were worked out.
	known map[grantSet]sides[[]entry]
	// counted counts both lists, once.
	counted func(ctx context.Context) (*countedChanges, error)
}

func newComparator(ctx context.Context, database *db.DB, engine *access.Engine, concern *Concern) (*comparator, error) {
	c := &comparator{Concern: concern, db: database, engine: engine, known: map[grantSet]sides[[]entry]{}}
	c.counted = list.Lazily(c.count)
	if c.nobody() {
		return c, nil
	}
	var err error
	if c.before, c.after, err = engine.CataloguesAround(ctx, c.At, c.names); err != nil {
		return nil, err
	}
	for _, id := range c.renamedPermissions {
		for _, role := range c.after.RolesWith(id) {
			c.roles = append(c.roles, role.ID)
		}
	}
	if c.definitionsOnly() {
		c.narrow()
	}
	if len(c.members)+len(c.Users) == 0 {
		// A role or an organization may have one member or a million: from here on,
		// the statements of the transaction are planned for the one at hand.
		_, err = database.Executor(ctx).NewRaw("set local plan_cache_mode = force_custom_plan").Exec(ctx)
	}
	return c, err
}

// narrow leaves out the grants that have nothing to do with permissions that roles
// gained or lost, or that were renamed, so that there are few different sets of
// grants; and it finds out which of the lists is empty.
func (c *comparator) narrow() {
	moved := sides[[]db.PermissionID]{gained: slices.Clone(c.renamedPermissions), lost: slices.Concat(c.renamedPermissions, c.deletedPermissions)}
	for _, role := range slices.Concat(c.roles, c.deletedRoles) {
		before, after := c.before.RolePermissions(role), c.after.RolePermissions(role)
		moved[gained] = append(moved[gained], without(after, before)...)
		moved[lost] = append(moved[lost], without(before, after)...)
	}
	var roles, permissions []uuid.UUID
	for _, id := range slices.Concat(moved[gained], moved[lost]) {
		permissions = append(permissions, uuid.UUID(id))
	}
	permissions = compact(permissions)
	for _, id := range permissions {
		for _, role := range slices.Concat(c.before.RolesWith(db.PermissionID(id)), c.after.RolesWith(db.PermissionID(id))) {
			roles = append(roles, uuid.UUID(role.ID))
		}
	}
	c.only = map[db.GrantTable][]uuid.UUID{db.RoleGrants: compact(roles), db.PermissionGrants: permissions}
	c.empty = sides[bool]{gained: len(moved[gained]) == 0, lost: len(moved[lost]) == 0}
}

// without returns the ids of the permissions that are not among the others.
func without(all, others []*db.Permission) []db.PermissionID {
	among := make(map[db.PermissionID]bool, len(others))
	for _, p := range others {
		among[p.ID] = true
	}
	var ids []db.PermissionID
	for _, p := range all {
		if !among[p.ID] {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// compact sorts the ids and returns each of them once, never nil: in SQL, null is
// equal to nothing.
func compact(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return append([]uuid.UUID{}, slices.Compact(ids)...)
}

// difference returns what a member with these grants gained and lost.
func (c *comparator) difference(s grantSet) (sides[[]entry], error) {
	if known, ok := c.known[s]; ok {
		return known, nil
	}
	before, after, err := s.stints()
	if err != nil {
		return sides[[]entry]{}, err
	}
	if !s.ActiveBefore {
		before = nil
	}
	if !s.ActiveAfter {
		after = nil
	}
	difference := compareLines(&timeLine{c.before, before}, &timeLine{c.after, after}, c.At, c.engine)
	c.known[s] = difference
	return difference, nil
}

// batch is how many members are read at first for a page.
var batch = 1000

// changesAfter returns at most limit changes behind the position, in order.
func (c *comparator) changesAfter(ctx context.Context, from position, side, limit int) ([]*PermissionChange, error) {
	if c.nobody() || c.empty[side] {
		return nil, nil
	}
	// Mostly all members that are concerned gain or lose something.
	members, err := c.membersFrom(ctx, from.MemberKey, batch)
	if err != nil {
		return nil, err
	}
	changes, err := c.changesOf(members, from, side)
	if err != nil || len(changes) >= limit || len(members) < batch {
		return changes[:min(len(changes), limit)], err
	}
	// If hardly any do, they are found by their grants.
	counted, err := c.counted(ctx)
	if err != nil || len(counted.sets[side]) == 0 {
		return changes, err
	}
	last := members[batch-1].key()
	members, err = c.membersWith(ctx, counted.sets[side], last, 1+limit-len(changes))
	if err != nil {
		return nil, err
	}
	more, err := c.changesOf(members, position{MemberKey: last, key: behindAllKeys}, side)
	changes = append(changes, more...)
	return changes[:min(len(changes), limit)], err
}

// changesOf returns the changes of the members behind the position.
func (c *comparator) changesOf(members []memberGrantSet, from position, side int) ([]*PermissionChange, error) {
	var changes []*PermissionChange
	for _, member := range members {
		difference, err := c.difference(member.grantSet)
		if err != nil {
			return nil, err
		}
		for _, e := range difference[side] {
			if key := member.key(); from.precedes(key, e) {
				changes = append(changes, c.changeOf(key, e))
			}
		}
	}
	return changes, nil
}

func (c *comparator) changeOf(member access.MemberKey, e entry) *PermissionChange {
	change := &PermissionChange{Member: member, Key: e.key, Permission: e.permission, At: e.from, later: e.from}
	if e.from.IsZero() {
		change.At = c.At
	}
	if !e.until.IsZero() {
		change.Until = &e.until
	}
	return change
}

// countedChanges has the length of each list, and the sets of grants of its members.
type countedChanges struct {
	number sides[int]
	sets   sides[[]grantSet]
}

func (c *comparator) count(ctx context.Context) (*countedChanges, error) {
	var counted countedChanges
	if c.nobody() {
		return &counted, nil
	}
	sets, err := c.countGrantSets(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sets {
		difference, err := c.difference(s.grantSet)
		if err != nil {
			return nil, err
		}
		for side, changes := range difference {
			if len(changes) > 0 {
				counted.number[side] += s.N * len(changes)
				counted.sets[side] = append(counted.sets[side], s.grantSet)
			}
		}
	}
	return &counted, nil
}
