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

// operation is what one client did, between call and ret.
type operation struct {
	kind                        kind
	user, org, role, permission int
	request                     string
	call, ret                   int64

	// Of a check: the answer; whether the server was asked that does not write, and
	// told to have seen all that was acknowledged; whether the answer had to be true
	// then and there.
	allowed, far, awaited, strict bool
}

func (o operation) String() string {
	return fmt.Sprintf("kind %d user %d org %d role %d permission %d from %v to %v: allowed %v far %v", o.kind, o.user, o.org, o.role, o.permission,
		time.Duration(o.call), time.Duration(o.ret), o.allowed, o.far)
}

// place is a user in an organization.
type place struct{ user, org int }

// state is all that decides what the user may do at one place.
type state struct {
	heldRoles                   [roles]bool
	heldPermissions             [permissions]bool
	contents                    [roles][permissions]bool
	userSuspended, orgSuspended bool
}

// after gives the state after a write.
func (s state) after(o operation) state {
	switch o.kind {
	case grantRole, revokeRole:
		s.heldRoles[o.role] = o.kind == grantRole
	case grantPermission, revokePermission:
		s.heldPermissions[o.permission] = o.kind == grantPermission
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
	allowed := s.heldPermissions[permission]
	for role, is := range s.heldRoles {
		allowed = allowed || is && s.contents[role][permission]
	}
	return allowed && !s.userSuspended && !s.orgSuspended
}

// model is one place, for operations in some order.
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

// concerns tells whether the operation has to do with the place.
func (o operation) concerns(p place) bool {
	switch o.kind {
	case addPermission, removePermission:
		return true
	case suspendUser, restoreUser:
		return o.user == p.user
	case suspendOrg, restoreOrg:
		return o.org == p.org
	}
	return o.user == p.user && o.org == p.org
}

// places gives the strict history of each place: a check has to do with one
// place only, and places have nothing in common but that.
func (w *world) places() map[place][]porcupine.Operation {
	all := map[place][]porcupine.Operation{}
	for user := range users {
		for org := range orgs {
			p := place{user, org}
			for _, o := range w.history {
				if o.concerns(p) && (o.kind != check || o.strict) {
					all[p] = append(all[p], porcupine.Operation{Input: o, Call: o.call, Return: o.ret})
				}
			}
		}
	}
	return all
}

// explained tells whether there was a moment, within the staleness bound before
// the check or while it ran, at which the answer can have been true: with every
// grant, role and status as it can have been at that same moment.
func (w *world) explained(o operation) bool {
	from := o.call - int64(w.staleness)
	if w.possible(o, o.ret) || w.possible(o, max(from, 0)) {
		return true
	}
	return slices.ContainsFunc(w.history, func(other operation) bool {
		return other.kind != check && other.call > from && other.call < o.ret && w.possible(o, other.call)
	})
}

// possible tells whether the answer of the check can have been true at the
// moment.
func (w *world) possible(o operation, at int64) bool {
	can := func(value bool, set, unset operation) bool { return w.register(set, unset).can(value, at) }
	of := func(k kind, role int) operation {
		return operation{kind: k, user: o.user, org: o.org, role: role, permission: o.permission}
	}
	active := can(false, of(suspendUser, 0), of(restoreUser, 0)) && can(false, of(suspendOrg, 0), of(restoreOrg, 0))
	suspended := can(true, of(suspendUser, 0), of(restoreUser, 0)) || can(true, of(suspendOrg, 0), of(restoreOrg, 0))
	given := can(true, of(grantPermission, 0), of(revokePermission, 0))
	withheld := can(false, of(grantPermission, 0), of(revokePermission, 0))
	for role := range roles {
		given = given || can(true, of(grantRole, role), of(revokeRole, role)) && can(true, of(addPermission, role), of(removePermission, role))
		withheld = withheld && (can(false, of(grantRole, role), of(revokeRole, role)) || can(false, of(addPermission, role), of(removePermission, role)))
	}
	if o.allowed {
		return active && given
	}
	return suspended || withheld
}

// register is one fact that writes make true or false.
type register struct {
	writes []write // by return
	// latest is, for each write, the latest call of those that returned no later.
	latest []int64
}

type write struct {
	value     bool
	call, ret int64
}

// register gives the fact which operations like set make true, and those like
// unset false.
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

// fact gives the write with only what matters to it.
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

// can tells whether the fact can have had the value at the moment: by a write
// that was called by then, and after which no other one both began and ended.
func (r *register) can(value bool, at int64) bool {
	done := sort.Search(len(r.writes), func(i int) bool { return r.writes[i].ret > at })
	superseded := int64(-1)
	if done > 0 {
		superseded = r.latest[done-1]
	} else if !value {
		return true // as in the beginning
	}
	first := sort.Search(len(r.writes), func(i int) bool { return r.writes[i].ret >= superseded })
	return slices.ContainsFunc(r.writes[first:], func(one write) bool { return one.value == value && one.call <= at })
}
