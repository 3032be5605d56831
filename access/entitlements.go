package access

import (
	"cmp"
	"slices"
	"time"

	"roster/db"
)

// MemberKey identifies one user in one organization.
type MemberKey struct {
	User         db.UserID
	Organization db.OrganizationID
}

// Entitlements are the roles and permissions of one member, by grants that have begun
// and not ended. They are read with the catalogue that came with them.
type Entitlements struct {
	status status
	// numbers holds the numbers of the roles and, from index direct on, the numbers of
	// the permissions that are granted directly: each once, and sorted.
	numbers []uint32
	direct  int
	// exact, unless nil, holds the keys of all permissions that the roles and direct
	// permissions amount to, and the former keys of those: the database has worked it out.
	exact []string
	// until is when the next grant begins or ends, in the engine's time.
	until time.Duration
}

type status uint8

const (
	isMember status = 1 << iota
	userSuspended
	memberSuspended
	organizationSuspended
)

// Member reports whether the user is a member of the organization.
func (e *Entitlements) Member() bool { return e.status&isMember != 0 }

// UserSuspended reports whether the user is a member and suspended.
func (e *Entitlements) UserSuspended() bool { return e.status&userSuspended != 0 }

// Suspended reports whether the user is a member who is suspended in this organization.
func (e *Entitlements) Suspended() bool { return e.status&memberSuspended != 0 }

// OrganizationSuspended reports whether the user is a member and the organization is
// suspended.
func (e *Entitlements) OrganizationSuspended() bool { return e.status&organizationSuspended != 0 }

// MayAct reports whether the user is a member whose grants count. The grants of a
// suspended user or member do not, nor do the grants in a suspended organization.
func (e *Entitlements) MayAct() bool { return e.status == isMember }

// NewEntitlements returns the entitlements of a member who was granted these roles and
// permissions. Repeated ones count once.
func (e *Engine) NewEntitlements(roles []db.RoleID, direct []db.PermissionID) *Entitlements {
	numbers := make([]uint32, 0, len(roles)+len(direct))
	for _, id := range roles {
		numbers = append(numbers, e.roles.number(id))
	}
	numbers = compact(numbers, 0)
	entry := &Entitlements{status: isMember, direct: len(numbers), until: never}
	for _, id := range direct {
		numbers = append(numbers, e.permissions.number(id))
	}
	entry.numbers = compact(numbers, entry.direct)
	return entry
}

// compact sorts the numbers from that index on, and removes repeated ones.
func compact(numbers []uint32, from int) []uint32 {
	slices.Sort(numbers[from:])
	return numbers[:from+len(slices.Compact(numbers[from:]))]
}

// Effective returns the permissions of the member, ordered by key. It is empty if the
// grants do not count, because the user, the member or the organization is suspended.
func (c *Catalogue) Effective(e *Entitlements) []*db.Permission {
	permissions := []*db.Permission{}
	if !e.MayAct() {
		return permissions
	}
	if e.exact != nil {
		for _, key := range e.exact {
			if p := c.PermissionByKey(key); p != nil && p.Key == key { // a former key leads to the same permission
				permissions = append(permissions, p)
			}
		}
		return permissions
	}
	return c.list(c.union(e))
}

// Answer is a key for which checks return true, and its permission.
type Answer struct {
	Key        string
	Permission *db.Permission
}

// Answers returns the keys for which checks return true at that moment for a member
// with these entitlements, in order. They include former keys that still answer then.
func (c *Catalogue) Answers(e *Entitlements, at time.Time) []Answer {
	permissions := c.Effective(e)
	answers := make([]Answer, 0, len(permissions))
	for _, p := range permissions {
		answers = append(answers, Answer{p.Key, p})
	}
	for _, p := range permissions {
		for _, former := range c.former[p.ID] {
			if former.Until.After(at) {
				answers = append(answers, Answer{former.Key, p})
			}
		}
	}
	if len(answers) > len(permissions) {
		slices.SortFunc(answers, func(a, b Answer) int { return cmp.Compare(a.Key, b.Key) })
	}
	return answers
}

// FormerKeysEnd returns the moments after the given one at which former keys cease to
// answer, in no order.
func (c *Catalogue) FormerKeysEnd(after time.Time) []time.Time {
	var ends []time.Time
	for _, keys := range c.former {
		for _, k := range keys {
			if k.Until.After(after) {
				ends = append(ends, k.Until)
			}
		}
	}
	return ends
}

// union returns all permissions that the roles contain or that are granted directly.
func (c *Catalogue) union(e *Entitlements) set {
	all := newSet(len(c.Permissions))
	for _, number := range e.numbers[:e.direct] {
		all.union(c.setOf(number))
	}
	for _, number := range e.numbers[e.direct:] {
		if int(number) < len(c.ordinalOf) && c.ordinalOf[number] >= 0 {
			all.add(c.ordinalOf[number])
		}
	}
	return all
}

// setOf returns the permissions of the role with that number; nil if the catalogue
// does not have the role.
func (c *Catalogue) setOf(number uint32) set {
	if int(number) < len(c.rolePermissions) {
		return c.rolePermissions[number]
	}
	return nil
}

// Allows reports whether the member has the permission with that key. It reports false
// if no permission has it.
func (c *Catalogue) Allows(e *Entitlements, key string) bool {
	if !e.MayAct() {
		return false
	}
	if e.exact != nil {
		return slices.Contains(e.exact, key)
	}
	d, ok := c.keys[Permission(key)]
	if !ok {
		return false
	}
	for _, number := range e.numbers[:e.direct] {
		if s := c.setOf(number); s != nil && s.has(d.ordinal) {
			return true
		}
	}
	return slices.Contains(e.numbers[e.direct:], d.number)
}

// AllowsEach is Allows for several keys, in their order.
func (c *Catalogue) AllowsEach(e *Entitlements, keys []string) []bool {
	answers := make([]bool, len(keys))
	for i, key := range keys {
		answers[i] = c.Allows(e, key)
	}
	return answers
}

// HeldRoles returns the roles of the member, ordered by key, whether or not the grants
// count.
func (c *Catalogue) HeldRoles(e *Entitlements) []*db.Role {
	roles := []*db.Role{}
	for _, number := range e.numbers[:e.direct] {
		if int(number) < len(c.roleOf) && c.roleOf[number] != nil {
			roles = append(roles, c.roleOf[number])
		}
	}
	slices.SortFunc(roles, func(a, b *db.Role) int { return cmp.Compare(a.Key, b.Key) })
	return roles
}
