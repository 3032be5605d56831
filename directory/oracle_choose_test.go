package directory_test

import (
	"slices"
	"strconv"

	"roster/directory"
)

// choose returns one of all.
func choose[T any](h *history, all []T) T { return all[h.random.IntN(len(all))] }

// some returns up to n of all, at least one unless all is empty.
func some[T any](h *history, all []T, n int) []T {
	var chosen []T
	for _, i := range h.random.Perm(len(all))[:min(len(all), 1+h.random.IntN(n))] {
		chosen = append(chosen, all[i])
	}
	return chosen
}

// key returns one of few keys, so that they are used again.
func (h *history) key(prefix string) string { return prefix + strconv.Itoa(h.random.IntN(14)) }

// listExisting returns the ids of the parties that were not deleted, in order.
func (h *history) listExisting(all map[string]*party) []string {
	var ids []string
	for id, p := range all {
		if !p.gone {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// ours returns the ids of roles or permissions that are not Roster's own.
func (h *history) ours(all map[string]*definition) []string {
	var ids []string
	for id, d := range all {
		if !d.gone && (d.key[0] == 'p' || len(d.key) < 4) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (h *history) someUser() string { return choose(h, h.listExisting(h.users)) }
func (h *history) someOrg() string  { return choose(h, h.listExisting(h.orgs)) }

func (h *history) someOrgs(n int) []string { return some(h, h.listExisting(h.orgs), n) }

func (h *history) membersOf(org string) []string {
	var users []string
	for s := range h.members {
		if s.org == org {
			users = append(users, s.user)
		}
	}
	slices.Sort(users)
	return users
}

// rolesOrDefaults returns some roles, an empty list, or nil for the default ones.
func (h *history) rolesOrDefaults() []string {
	switch roles := h.ours(h.roles); {
	case h.random.IntN(3) == 0:
		return nil
	case h.random.IntN(3) == 0 || len(roles) == 0:
		return []string{}
	default:
		return some(h, roles, 2)
	}
}

// userRef names the user by id or, as long as they exist, by username.
func (h *history) userRef(id string) directory.UserRef {
	if u := h.users[id]; !u.gone && h.random.IntN(2) == 0 {
		return directory.UserRef{Username: &u.name}
	}
	return directory.UserRef{ID: &id}
}

func (h *history) userRefs(ids []string) []*directory.UserRef {
	all := make([]*directory.UserRef, len(ids))
	for i, id := range ids {
		all[i] = new(h.userRef(id))
	}
	return all
}

func (h *history) orgRef(id string) directory.OrganizationRef {
	if o := h.orgs[id]; !o.gone && h.random.IntN(2) == 0 {
		return directory.OrganizationRef{Code: &o.name}
	}
	return directory.OrganizationRef{ID: &id}
}

// refs names roles or permissions by their ids; nil stays nil.
func refs[R directory.RoleRef | directory.PermissionRef](ids []string) []*R {
	if ids == nil {
		return nil
	}
	all := make([]*R, len(ids))
	for i := range ids {
		all[i] = new(R(directory.RoleRef{ID: &ids[i]}))
	}
	return all
}
