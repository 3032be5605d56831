package directory_test

import (
	"maps"
	"slices"
	"sort"
	"time"
)

// oracle is the directory once more, as the contract describes it: maps and slices,
// which each question walks through. It knows nothing of caches, transactions or SQL.
// Everything is named by its id in text form.
type oracle struct {
	users, orgs      map[string]*party
	roles            map[string]*definition
	permissions      map[string]*definition
	members          map[spot]string // the id of the membership
	standing         map[spot]*party // when members were suspended and restored
	facts            []*fact
	businessDefaults []string // roles
	defaultOrg       string
}

// spot is a user in an organization.
type spot struct{ user, org string }

// party is a user or an organization.
type party struct {
	name     string // username or code
	gone     bool
	flips    []flip   // when it was suspended and restored, in order
	defaults []string // the roles for those who join
}

type flip struct {
	at        time.Time
	suspended bool
}

// definition is a role or a permission.
type definition struct {
	key      string
	gone     bool
	contents []*span              // of a role
	former   map[string]time.Time // keys of a permission, and until when they answer
}

// span is how long a role contained a permission.
type span struct {
	permission  string
	from, until time.Time // until is zero as long as it does
}

// fact is a grant of a role or a permission.
type fact struct {
	spot
	role, permission string // one of them
	granted, starts  time.Time
	ends, revoked    *time.Time
	reason           *string
}

func newOracle() *oracle {
	return &oracle{
		users: map[string]*party{}, orgs: map[string]*party{}, members: map[spot]string{}, standing: map[spot]*party{},
		roles: map[string]*definition{}, permissions: map[string]*definition{},
	}
}

// clone returns an independent copy.
func (o *oracle) clone() *oracle {
	c := *o
	c.users, c.orgs = map[string]*party{}, map[string]*party{}
	for from, to := range map[*map[string]*party]map[string]*party{&o.users: c.users, &o.orgs: c.orgs} {
		for id, p := range *from {
			q := *p
			q.flips, q.defaults = slices.Clone(p.flips), slices.Clone(p.defaults)
			to[id] = &q
		}
	}
	c.roles, c.permissions = map[string]*definition{}, map[string]*definition{}
	for from, to := range map[*map[string]*definition]map[string]*definition{&o.roles: c.roles, &o.permissions: c.permissions} {
		for id, d := range *from {
			e := *d
			e.contents, e.former = nil, maps.Clone(d.former)
			for _, s := range d.contents {
				s := *s
				e.contents = append(e.contents, &s)
			}
			to[id] = &e
		}
	}
	c.members, c.standing = maps.Clone(o.members), map[spot]*party{}
	for s, p := range o.standing {
		c.standing[s] = &party{flips: slices.Clone(p.flips)}
	}
	c.facts = nil
	for _, f := range o.facts {
		f := *f
		c.facts = append(c.facts, &f)
	}
	return &c
}

// The states of a fact.
const (
	held       = "HELD"
	ended      = "ENDED"
	notStarted = "NOT_STARTED"
	revoked    = "REVOKED"
	unknown    = "UNKNOWN"
)

func (f *fact) state(at time.Time) string {
	switch {
	case f.granted.After(at):
		return unknown
	case f.revoked != nil && !f.revoked.After(at):
		return revoked
	case f.ends != nil && !f.ends.After(at):
		return ended
	case f.starts.After(at):
		return notStarted
	}
	return held
}

// live reports whether it still matters after at.
func (f *fact) live(at time.Time) bool {
	state := f.state(at)
	return state == held || state == notStarted
}

func (f *fact) targetID() string { return f.role + f.permission }

// contains reports whether the role contained the permission at the moment.
func (d *definition) contains(permission string, at time.Time) bool {
	return slices.ContainsFunc(d.contents, func(s *span) bool {
		return s.permission == permission && !s.from.After(at) && (s.until.IsZero() || s.until.After(at))
	})
}

func (p *party) suspended(at time.Time) bool {
	suspended := false
	for _, f := range p.flips {
		if !f.at.After(at) {
			suspended = f.suspended
		}
	}
	return suspended
}

// gives reports whether the fact allows its holder the permission at the moment.
func (o *oracle) gives(f *fact, permission string, at time.Time) bool {
	return f.permission == permission || f.role != "" && o.roles[f.role].contains(permission, at)
}

// sources returns the facts in a state at the moment that allow the permission.
func (o *oracle) sources(s spot, permission, state string, at time.Time) []*fact {
	var found []*fact
	for _, f := range o.facts {
		if f.spot == s && f.state(at) == state && o.gives(f, permission, at) {
			found = append(found, f)
		}
	}
	return found
}

// active reports whether neither the user nor the member nor the organization was
// suspended.
func (o *oracle) active(s spot, at time.Time) bool {
	return !o.users[s.user].suspended(at) && !o.suspendedIn(s, at) && !o.orgs[s.org].suspended(at)
}

// suspendedIn reports whether the member was suspended.
func (o *oracle) suspendedIn(s spot, at time.Time) bool {
	return o.standing[s] != nil && o.standing[s].suspended(at)
}

// suspendIn suspends or restores the member.
func (o *oracle) suspendIn(s spot, suspended bool, at time.Time) {
	if o.standing[s] == nil {
		o.standing[s] = &party{}
	}
	o.standing[s].setSuspended(suspended, at)
}

// may reports whether the member may do what the permission, by its id, names.
func (o *oracle) may(s spot, permission string, at time.Time) bool {
	return o.members[s] != "" && o.active(s, at) && len(o.sources(s, permission, held, at)) > 0
}

// can is may for a permission that is named by its key.
func (o *oracle) can(s spot, key string, at time.Time) bool {
	id := o.permission(key, at)
	return id != "" && o.may(s, id, at)
}

// effective returns the ids of the permissions that the member has, in order of the keys.
func (o *oracle) effective(s spot, at time.Time) []string {
	var all []string
	for id := range o.permissions {
		if o.may(s, id, at) {
			all = append(all, id)
		}
	}
	sort.Slice(all, func(i, j int) bool { return o.permissions[all[i]].key < o.permissions[all[j]].key })
	return all
}

// heldRoles returns the ids of the roles that the member holds, each once, in order of
// the keys.
func (o *oracle) heldRoles(s spot, at time.Time) []string {
	var all []string
	for _, f := range o.facts {
		if f.spot == s && f.role != "" && f.state(at) == held && !o.roles[f.role].gone && !slices.Contains(all, f.role) {
			all = append(all, f.role)
		}
	}
	sort.Slice(all, func(i, j int) bool { return o.roles[all[i]].key < o.roles[all[j]].key })
	return all
}

// obstacles returns the reasons why the member may not do what the key names.
func (o *oracle) obstacles(s spot, key string, at time.Time) []string {
	var all []string
	id := o.permission(key, at)
	if id == "" {
		all = append(all, "NO_SUCH_PERMISSION")
	}
	if o.members[s] == "" {
		all = append(all, "NOT_A_MEMBER")
	} else {
		if o.users[s.user].suspended(at) {
			all = append(all, "USER_SUSPENDED")
		}
		if o.suspendedIn(s, at) {
			all = append(all, "MEMBER_SUSPENDED")
		}
		if o.orgs[s.org].suspended(at) {
			all = append(all, "ORGANIZATION_SUSPENDED")
		}
	}
	if id == "" || len(o.sources(s, id, held, at)) > 0 {
		return all
	}
	before := len(all)
	for _, past := range []struct{ state, obstacle string }{{ended, "GRANT_ENDED"}, {notStarted, "GRANT_NOT_STARTED"}, {revoked, "GRANT_REVOKED"}} {
		if len(o.sources(s, id, past.state, at)) > 0 {
			all = append(all, past.obstacle)
		}
	}
	if len(all) == before {
		all = append(all, "NOT_GRANTED")
	}
	return all
}

// permission returns the id of the permission that has the key, or answers by it at
// the moment.
func (o *oracle) permission(key string, at time.Time) string {
	for id, p := range o.permissions {
		if until, ok := p.former[key]; ok && !p.gone && until.After(at) {
			return id
		}
	}
	return findByKey(o.permissions, key)
}

// renamePermission changes the key of a permission, and reports whether that is
// possible.
func (o *oracle) renamePermission(id, key string, keepUntil *time.Time, at time.Time) bool {
	p := o.permissions[id]
	if other := o.permission(key, at); other != "" && other != id {
		return false
	}
	if p.key == key {
		return keepUntil == nil
	}
	if keepUntil != nil && !keepUntil.After(at) {
		return false
	}
	if p.former == nil {
		p.former = map[string]time.Time{}
	}
	delete(p.former, key)
	delete(p.former, p.key)
	if keepUntil != nil {
		p.former[p.key] = *keepUntil
	}
	p.key = key
	return true
}

// called returns the id of the user, or the organization, that has the name now.
func called(all map[string]*party, name string) string {
	for id, p := range all {
		if !p.gone && p.name == name {
			return id
		}
	}
	return ""
}

func findByKey(all map[string]*definition, key string) string {
	for id, d := range all {
		if !d.gone && d.key == key {
			return id
		}
	}
	return ""
}

// rolesWith returns the roles that contain the permission now.
func (o *oracle) rolesWith(permission string, at time.Time) []string {
	var all []string
	for id, r := range o.roles {
		if !r.gone && r.contains(permission, at) {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// spots returns the spots of members for which it is true.
func (o *oracle) spots(is func(spot) bool) []spot {
	var all []spot
	for s := range o.members {
		if is(s) {
			all = append(all, s)
		}
	}
	return all
}

// boundary reports whether a grant begins or ends in that time, or a former key
// ends, so that answers of that time can differ.
func (o *oracle) boundary(from, to time.Time) bool {
	for _, p := range o.permissions {
		for _, until := range p.former {
			if !until.Before(from) && !until.After(to) {
				return true
			}
		}
	}
	return slices.ContainsFunc(o.facts, func(f *fact) bool {
		return !f.starts.Before(from) && !f.starts.After(to) || f.ends != nil && !f.ends.Before(from) && !f.ends.After(to)
	})
}

// What the mutations do.

// term is the time and the reason of a grant; nil means from now, for good, and
// without a reason.
type term struct {
	starts, ends *time.Time
	reason       *string
}

// same reports whether the live fact has the term from starts to ends, as far as it
// matters from at on.
func (f *fact) same(starts time.Time, ends *time.Time, at time.Time) bool {
	sameEnd := f.ends == ends || f.ends != nil && ends != nil && f.ends.Equal(*ends)
	return sameEnd && (f.starts.Equal(starts) || !f.starts.After(at) && !starts.After(at))
}

// give grants the target to the member: it adds a fact, unless one has the same
// term. It reports whether the term is possible.
func (o *oracle) give(s spot, role, permission string, t term, at time.Time) bool {
	starts := at
	if t.starts != nil {
		starts = *t.starts
	}
	if t.ends != nil && !t.ends.After(starts) {
		return false
	}
	for _, f := range slices.Backward(o.facts) {
		if f.spot == s && f.targetID() == role+permission && f.live(at) && f.same(starts, t.ends, at) {
			if t.reason != nil {
				f.reason = t.reason
			}
			return true
		}
	}
	o.facts = append(o.facts, &fact{spot: s, role: role, permission: permission, granted: at, starts: starts, ends: t.ends, reason: t.reason})
	return true
}

// take revokes the facts that meet the condition, as far as they have not ended: now,
// or at ends. It reports whether that is possible.
func (o *oracle) take(is func(*fact) bool, ends *time.Time, at time.Time) bool {
	if ends != nil && !ends.After(at) {
		return false
	}
	for _, f := range o.facts {
		switch {
		case !is(f) || !f.live(at):
		case ends == nil || !f.starts.Before(*ends):
			f.revoked = &at
		case f.ends == nil || f.ends.After(*ends):
			f.ends = ends
		}
	}
	return true
}

// join makes the user a member, who gets the roles; if they are nil, new members get
// the default ones.
func (o *oracle) join(s spot, membership string, roles []string, at time.Time) {
	if roles == nil {
		if o.members[s] != "" {
			return
		}
		if roles = o.orgs[s.org].defaults; len(roles) == 0 {
			roles = o.businessDefaults
		}
	}
	o.members[s] = membership
	for _, role := range roles {
		o.give(s, role, "", term{}, at)
	}
}

func (o *oracle) leave(s spot, at time.Time) {
	delete(o.members, s)
	o.suspendIn(s, false, at)
	o.take(func(f *fact) bool { return f.spot == s }, nil, at)
}

// move is join for a member of another organization, who stays suspended.
func (o *oracle) move(from, to spot, roles []string, at time.Time) {
	if o.members[to] == "" && o.suspendedIn(from, at) {
		defer o.suspendIn(to, true, at)
	}
	o.join(to, "member", roles, at)
}

// homes returns how many organizations the user belongs to.
func (o *oracle) homes(user string) int {
	return len(o.spots(func(s spot) bool { return s.user == user }))
}

// carry grants to the member of to each fact that they had in from, unless they have
// one with the same term there.
func (o *oracle) carry(from, to spot, at time.Time) {
	before := slices.Clone(o.facts)
	for _, f := range before {
		if f.spot != from || !f.live(at) {
			continue
		}
		if !slices.ContainsFunc(before, func(present *fact) bool {
			return present.spot == to && present.targetID() == f.targetID() && present.live(at) && present.same(f.starts, f.ends, at)
		}) {
			carried := *f
			carried.spot, carried.granted = to, at
			o.facts = append(o.facts, &carried)
		}
	}
}

// drop takes a role or permission from everyone and out of everything.
func (o *oracle) drop(id string, at time.Time) {
	o.take(func(f *fact) bool { return f.targetID() == id }, nil, at)
	if r := o.roles[id]; r != nil {
		r.gone = true
		r.remove("", at)
		o.businessDefaults = without(o.businessDefaults, id)
		for _, org := range o.orgs {
			org.defaults = without(org.defaults, id)
		}
		return
	}
	o.permissions[id].gone = true
	for _, r := range o.roles {
		r.remove(id, at)
	}
}

func (d *definition) add(permission string, at time.Time) {
	if !d.contains(permission, at) {
		d.contents = append(d.contents, &span{permission: permission, from: at})
	}
}

// remove takes a permission out of the role; all of them when it is empty.
func (d *definition) remove(permission string, at time.Time) {
	for _, s := range d.contents {
		if s.until.IsZero() && (permission == "" || s.permission == permission) {
			s.until = at
		}
	}
}

// setSuspended notes a change of status, if there is one.
func (p *party) setSuspended(suspended bool, at time.Time) {
	if p.suspended(at) != suspended {
		p.flips = append(p.flips, flip{at, suspended})
	}
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(other string) bool { return other == one })
}
