package access_test

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

// kind is what an operation does.
type kind int

const (
	grantRole kind = iota
	revokeRole
	grantPermission
	revokePermission
	addPermission
	removePermission
	suspendUser
	restoreUser
	suspendOrg
	restoreOrg
	check
)

// operation is a write or a check by one client, between call and ret.
type operation struct {
	kind                        kind
	user, org, role, permission int
	request                     string
	call, ret                   int64

	// Of a check: allowed is the answer; far reports whether the server answered that
	// does not write; awaited reports whether it first had to see all acknowledged
	// writes; strict reports whether the answer had to be true while it ran.
	allowed, far, awaited, strict bool
}

func (o operation) String() string {
	return fmt.Sprintf("kind %d user %d org %d role %d permission %d from %v to %v: allowed %v far %v", o.kind, o.user, o.org, o.role, o.permission,
		time.Duration(o.call), time.Duration(o.ret), o.allowed, o.far)
}

// member is a user in an organization.
type member struct{ user, org int }

// state decides what one member may do.
type state struct {
	grantedRoles                [roles]bool
	grantedPermissions          [permissions]bool
	contents                    [roles][permissions]bool
	userSuspended, orgSuspended bool
}

// after returns the state after a write.
func (s state) after(o operation) state {
	switch o.kind {
	case grantRole, revokeRole:
		s.grantedRoles[o.role] = o.kind == grantRole
	case grantPermission, revokePermission:
		s.grantedPermissions[o.permission] = o.kind == grantPermission
	case addPermission, removePermission:
		s.contents[o.role][o.permission] = o.kind == addPermission
	case suspendUser, restoreUser:
		s.userSuspended = o.kind == suspendUser
	case suspendOrg, restoreOrg:
		s.orgSuspended = o.kind == suspendOrg
	}
	return s
}

func (s state) allows(permission int) bool {
	allowed := s.grantedPermissions[permission]
	for role, is := range s.grantedRoles {
		allowed = allowed || is && s.contents[role][permission]
	}
	return allowed && !s.userSuspended && !s.orgSuspended
}

// model models one member.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(now, input, _ any) (bool, any) {
		o := input.(operation)
		if o.kind == check {
			return now.(state).allows(o.permission) == o.allowed, now
		}
		return true, now.(state).after(o)
	},
}

// concerns reports whether the operation reads or changes the state of the member.
func (o operation) concerns(m member) bool {
	switch o.kind {
	case addPermission, removePermission:
		return true
	case suspendUser, restoreUser:
		return o.user == m.user
	case suspendOrg, restoreOrg:
		return o.org == m.org
	}
	return o.user == m.user && o.org == m.org
}

// histories returns the writes and strict checks that concern each member. Members can
// be judged one by one, because a check concerns only one of them.
func (w *world) histories() map[member][]porcupine.Operation {
	all := map[member][]porcupine.Operation{}
	for user := range users {
		for org := range orgs {
			m := member{user, org}
			for _, o := range w.history {
				if o.concerns(m) && (o.kind != check || o.strict) {
					all[m] = append(all[m], porcupine.Operation{Input: o, Call: o.call, Return: o.ret})
				}
			}
		}
	}
	return all
}

// explained reports whether there was a moment, within the staleness bound before the
// check or while it ran, at which the answer can have been true: with every grant, role
// and status as it can have been at that one moment.
func (w *world) explained(o operation) bool {
	from := o.call - int64(w.staleness)
	if w.possible(o, o.ret) || w.possible(o, max(from, 0)) {
		return true
	}
	return slices.ContainsFunc(w.history, func(other operation) bool {
		return other.kind != check && other.call > from && other.call < o.ret && w.possible(o, other.call)
	})
}

// possible reports whether the answer of the check can have been true at the moment.
func (w *world) possible(o operation, at int64) bool {
	can := func(value bool, set, unset operation) bool { return w.register(set, unset).can(value, at) }
	about := func(k kind, role int) operation {
		return operation{kind: k, user: o.user, org: o.org, role: role, permission: o.permission}
	}
	active := can(false, about(suspendUser, 0), about(restoreUser, 0)) && can(false, about(suspendOrg, 0), about(restoreOrg, 0))
	suspended := can(true, about(suspendUser, 0), about(restoreUser, 0)) || can(true, about(suspendOrg, 0), about(restoreOrg, 0))
	given := can(true, about(grantPermission, 0), about(revokePermission, 0))
	withheld := can(false, about(grantPermission, 0), about(revokePermission, 0))
	for role := range roles {
		given = given || can(true, about(grantRole, role), about(revokeRole, role)) && can(true, about(addPermission, role), about(removePermission, role))
		withheld = withheld && (can(false, about(grantRole, role), about(revokeRole, role)) || can(false, about(addPermission, role), about(removePermission, role)))
	}
	if o.allowed {
		return active && given
	}
	return suspended || withheld
}

// register is a fact that writes make true or false.
type register struct {
	writes []write // ordered by ret
	// latest holds, for each write, the latest call among the writes up to it.
	latest []int64
}

type write struct {
	value     bool
	call, ret int64
}

// register returns the fact that operations like set make true and operations like
// unset make false.
func (w *world) register(set, unset operation) *register {
	key := fact(set)
	if w.registers == nil {
		w.registers = map[operation]*register{}
	}
	if known := w.registers[key]; known != nil {
		return known
	}
	r := &register{}
	for _, o := range w.history {
		if o.kind == set.kind && fact(o) == fact(set) || o.kind == unset.kind && fact(o) == fact(unset) {
			r.writes = append(r.writes, write{value: o.kind == set.kind, call: o.call, ret: o.ret})
		}
	}
	sort.Slice(r.writes, func(i, j int) bool { return r.writes[i].ret < r.writes[j].ret })
	latest := int64(-1)
	for _, one := range r.writes {
		latest = max(latest, one.call)
		r.latest = append(r.latest, latest)
	}
	w.registers[key] = r
	return r
}

// fact returns the write with only the fields that matter to its kind.
func fact(o operation) operation {
	f := operation{kind: o.kind}
	switch o.kind {
	case grantRole, revokeRole:
		f.user, f.org, f.role = o.user, o.org, o.role
	case grantPermission, revokePermission:
		f.user, f.org, f.permission = o.user, o.org, o.permission
	case addPermission, removePermission:
		f.role, f.permission = o.role, o.permission
	case suspendUser, restoreUser:
		f.user = o.user
	case suspendOrg, restoreOrg:
		f.org = o.org
	}
	return f
}

// can reports whether the fact can have had the value at the moment: by a write that
// was called by then, and after which no other write both began and ended.
func (r *register) can(value bool, at int64) bool {
	done := sort.Search(len(r.writes), func(i int) bool { return r.writes[i].ret > at })
	superseded := int64(-1)
	if done > 0 {
		superseded = r.latest[done-1]
	} else if !value {
		return true // every fact is false in the beginning
	}
	first := sort.Search(len(r.writes), func(i int) bool { return r.writes[i].ret >= superseded })
	return slices.ContainsFunc(r.writes[first:], func(one write) bool { return one.value == value && one.call <= at })
}
