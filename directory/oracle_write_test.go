package directory_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/directory"
)

// mutation returns a random mutation; grants are drawn most often.
func (h *history) mutation() mutation {
	for {
		for _, c := range []struct {
			weight int
			make   func() mutation
			when   bool
		}{
			{3, h.createUser, len(h.listExisting(h.users)) < 15},
			{2, h.deleteUser, len(h.listExisting(h.users)) > 8},
			{3, h.renameUser, true},
			{5, h.suspendUser, true},
			{1, h.offboardUser, true},
			{5, h.suspendMember, true},
			{1, h.createOrganization, len(h.listExisting(h.orgs)) < 8},
			{1, h.deleteOrganization, len(h.listExisting(h.orgs)) > 4},
			{4, h.suspendOrganization, true},
			{1, h.changeDefaults, true},
			{4, h.addMembers, true},
			{3, h.removeMembers, true},
			{3, h.moveMember, true},
			{2, h.createPermission, true},
			{1, h.deletePermission, len(h.ours(h.permissions)) > 6},
			{1, h.renamePermission, true},
			{2, h.createRole, true},
			{1, h.deleteRole, len(h.ours(h.roles)) > 3},
			{1, h.renameRole, true},
			{8, h.editRole, true},
			{14, h.grant, true},
			{10, h.revoke, true},
		} {
			if c.when && h.random.IntN(72) < c.weight {
				return c.make()
			}
		}
	}
}

func (h *history) createUser() mutation {
	name := fmt.Sprintf("user%d", len(h.users))
	orgs, roles := h.someOrgs(2), h.rolesOrDefaults()
	var user *db.User
	return mutation{
		fmt.Sprintf("create %s in %v with %v", name, orgs, roles),
		func(ctx context.Context) (err error) {
			in := directory.CreateUserInput{Username: &name, Roles: refs[directory.RoleRef](roles)}
			for _, org := range orgs {
				in.Organizations = append(in.Organizations, new(h.orgRef(org)))
			}
			user, err = h.writer.CreateUser(ctx, in)
			return err
		},
		func(o *oracle, at time.Time) bool {
			id := "new"
			if user != nil {
				id = user.ID.String()
			}
			o.users[id] = &party{name: name}
			for _, org := range orgs {
				o.join(spot{id, org}, "member", roles, at)
			}
			return true
		},
	}
}

func (h *history) deleteUser() mutation {
	id := h.someUser()
	return mutation{
		"delete user " + id,
		func(ctx context.Context) error {
			_, err := h.writer.DeleteUser(ctx, directory.UserActionInput{User: h.userRef(id)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			for _, s := range o.spots(func(s spot) bool { return s.user == id }) {
				o.leave(s, at)
			}
			o.users[id].gone = true
			return true
		},
	}
}

func (h *history) offboardUser() mutation {
	id := h.someUser()
	return mutation{
		"offboard user " + id,
		func(ctx context.Context) error {
			_, err := h.writer.OffboardUser(ctx, directory.OffboardUserInput{User: h.userRef(id)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			home := spot{id, o.defaultOrg}
			if o.members[home] == "" {
				o.join(home, "member", []string{}, at)
			}
			for _, s := range o.spots(func(s spot) bool { return s.user == id && s != home }) {
				o.leave(s, at)
			}
			o.take(func(f *fact) bool { return f.spot == home }, nil, at)
			o.users[id].setSuspended(true, at)
			return true
		},
	}
}

// renameUser sets one of few names, which moves from one user to the other.
func (h *history) renameUser() mutation {
	id, name := h.someUser(), h.key("name")
	return mutation{
		fmt.Sprintf("rename user %s: %s", id, name),
		func(ctx context.Context) error {
			_, err := h.writer.UpdateUser(ctx, directory.UpdateUserInput{User: h.userRef(id), Username: graphql.OmittableOf(&name)})
			return err
		},
		func(o *oracle, _ time.Time) bool {
			if other := called(o.users, name); other != "" && other != id {
				return false
			}
			o.users[id].name = name
			return true
		},
	}
}

func (h *history) suspendUser() mutation {
	id, suspended := h.someUser(), h.random.IntN(2) == 0
	return mutation{
		fmt.Sprintf("user %s is suspended: %v", id, suspended),
		func(ctx context.Context) (err error) {
			in := directory.UserActionInput{User: h.userRef(id)}
			if suspended {
				_, err = h.writer.SuspendUser(ctx, in)
			} else {
				_, err = h.writer.RestoreUser(ctx, in)
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			o.users[id].setSuspended(suspended, at)
			return true
		},
	}
}

func (h *history) suspendMember() mutation {
	org, suspended := h.someOrg(), h.random.IntN(2) == 0
	user := h.someUser()
	if members := h.membersOf(org); len(members) > 0 && h.random.IntN(8) > 0 {
		user = choose(h, members)
	}
	return mutation{
		fmt.Sprintf("member %s of %s is suspended: %v", user, org, suspended),
		func(ctx context.Context) (err error) {
			in := directory.MemberActionInput{User: h.userRef(user), Organization: h.orgRef(org)}
			if suspended {
				_, err = h.writer.SuspendMember(ctx, in)
			} else {
				_, err = h.writer.RestoreMember(ctx, in)
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			s := spot{user, org}
			if o.members[s] == "" {
				return false
			}
			o.suspendIn(s, suspended, at)
			return true
		},
	}
}

func (h *history) createOrganization() mutation {
	code, defaults := h.key("org"), []string(nil)
	if h.random.IntN(3) == 0 {
		defaults = some(h, h.ours(h.roles), 2)
	}
	var org *db.Organization
	return mutation{
		fmt.Sprintf("create organization %s, whose default roles are %v", code, defaults),
		func(ctx context.Context) (err error) {
			org, err = h.writer.CreateOrganization(ctx, directory.CreateOrganizationInput{
				Code: &code, Name: code, DefaultRoles: refs[directory.RoleRef](defaults),
			})
			return err
		},
		func(o *oracle, _ time.Time) bool {
			if called(o.orgs, code) != "" {
				return false
			}
			if org != nil {
				o.orgs[org.ID.String()] = &party{name: code, defaults: defaults}
			}
			return true
		},
	}
}

func (h *history) deleteOrganization() mutation {
	id := h.someOrg()
	return mutation{
		"delete organization " + id,
		func(ctx context.Context) error {
			_, err := h.writer.DeleteOrganization(ctx, directory.OrganizationActionInput{Organization: h.orgRef(id)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			if id == o.defaultOrg {
				return false
			}
			for _, s := range o.spots(func(s spot) bool { return s.org == id }) {
				if o.homes(s.user) == 1 {
					o.move(s, spot{s.user, o.defaultOrg}, nil, at)
				}
				o.leave(s, at)
			}
			o.orgs[id].gone, o.orgs[id].defaults = true, nil
			return true
		},
	}
}

func (h *history) suspendOrganization() mutation {
	id, suspended := h.someOrg(), h.random.IntN(2) == 0
	return mutation{
		fmt.Sprintf("organization %s is suspended: %v", id, suspended),
		func(ctx context.Context) (err error) {
			in := directory.OrganizationActionInput{Organization: h.orgRef(id)}
			if suspended {
				_, err = h.writer.SuspendOrganization(ctx, in)
			} else {
				_, err = h.writer.RestoreOrganization(ctx, in)
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			if suspended && id == o.defaultOrg {
				return false
			}
			o.orgs[id].setSuspended(suspended, at)
			return true
		},
	}
}

// changeDefaults changes the roles of new members: of one organization, or of the
// business.
func (h *history) changeDefaults() mutation {
	org, roles := h.someOrg(), some(h, h.ours(h.roles), 2)
	business := h.random.IntN(2) == 0
	return mutation{
		fmt.Sprintf("default roles of %s (business: %v): %v", org, business, roles),
		func(ctx context.Context) (err error) {
			if business {
				_, err = h.writer.UpdateSettings(ctx, directory.UpdateSettingsInput{DefaultRoles: graphql.OmittableOf(refs[directory.RoleRef](roles))})
			} else {
				_, err = h.writer.UpdateOrganization(ctx, directory.UpdateOrganizationInput{
					Organization: h.orgRef(org), DefaultRoles: graphql.OmittableOf(refs[directory.RoleRef](roles)),
				})
			}
			return err
		},
		func(o *oracle, _ time.Time) bool {
			if business {
				o.businessDefaults = roles
			} else {
				o.orgs[org].defaults = roles
			}
			return true
		},
	}
}

func (h *history) addMembers() mutation {
	org, users, roles := h.someOrg(), some(h, h.listExisting(h.users), 3), h.rolesOrDefaults()
	return mutation{
		fmt.Sprintf("add %v to %s with %v", users, org, roles),
		func(ctx context.Context) error {
			_, err := h.writer.AddMembers(ctx, directory.AddMembersInput{Organization: h.orgRef(org), Users: h.userRefs(users), Roles: refs[directory.RoleRef](roles)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			for _, user := range users {
				o.join(spot{user, org}, "member", roles, at)
			}
			return true
		},
	}
}

func (h *history) removeMembers() mutation {
	org := h.someOrg()
	users := some(h, h.membersOf(org), 2)
	return mutation{
		fmt.Sprintf("remove %v from %s", users, org),
		func(ctx context.Context) error {
			_, err := h.writer.RemoveMembers(ctx, directory.RemoveMembersInput{Organization: h.orgRef(org), Users: h.userRefs(users)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			for _, user := range users {
				o.leave(spot{user, org}, at)
				if o.homes(user) == 0 {
					return false
				}
			}
			return len(users) > 0
		},
	}
}

func (h *history) moveMember() mutation {
	from, to, keep := h.someOrg(), h.someOrg(), h.random.IntN(2) == 0
	user := h.someUser()
	if members := h.membersOf(from); len(members) > 0 && h.random.IntN(8) > 0 {
		user = choose(h, members)
	}
	return mutation{
		fmt.Sprintf("move %s from %s to %s, with grants: %v", user, from, to, keep),
		func(ctx context.Context) error {
			_, err := h.writer.MoveMember(ctx, directory.MoveMemberInput{User: h.userRef(user), From: h.orgRef(from), To: h.orgRef(to), KeepGrants: keep})
			return err
		},
		func(o *oracle, at time.Time) bool {
			if from == to || o.members[spot{user, from}] == "" {
				return false
			}
			if keep {
				o.move(spot{user, from}, spot{user, to}, []string{}, at)
				o.carry(spot{user, from}, spot{user, to}, at)
			} else {
				o.move(spot{user, from}, spot{user, to}, nil, at)
			}
			o.leave(spot{user, from}, at)
			return true
		},
	}
}

func (h *history) createPermission() mutation {
	key := h.key("p")
	var permission *db.Permission
	return mutation{
		"create permission " + key,
		func(ctx context.Context) (err error) {
			permission, err = h.writer.CreatePermission(ctx, directory.CreatePermissionInput{Key: key})
			return err
		},
		func(o *oracle, at time.Time) bool {
			if o.permission(key, at) != "" {
				return false
			}
			if permission != nil {
				o.permissions[permission.ID.String()] = &definition{key: key}
			}
			return true
		},
	}
}

func (h *history) deletePermission() mutation {
	id := choose(h, h.ours(h.permissions))
	return mutation{
		"delete permission " + id,
		func(ctx context.Context) error {
			_, err := h.writer.DeletePermission(ctx, directory.PermissionActionInput{Permission: directory.PermissionRef{ID: &id}})
			return err
		},
		func(o *oracle, at time.Time) bool { o.drop(id, at); return true },
	}
}

func (h *history) renamePermission() mutation {
	id, key := choose(h, h.ours(h.permissions)), h.key("p")
	in := directory.UpdatePermissionInput{Permission: directory.PermissionRef{ID: &id}, Key: graphql.OmittableOf(&key)}
	if h.random.IntN(2) == 0 {
		in.KeepOldKeyUntil = new(time.Now().Truncate(time.Microsecond).Add(choose(h, []time.Duration{200 * time.Millisecond, time.Second, time.Hour})))
	}
	return mutation{
		fmt.Sprintf("rename permission %s: %s, and keep the old key until %v", id, key, in.KeepOldKeyUntil),
		func(ctx context.Context) error {
			_, err := h.writer.UpdatePermission(ctx, in)
			return err
		},
		func(o *oracle, at time.Time) bool { return o.renamePermission(id, key, in.KeepOldKeyUntil, at) },
	}
}

func (h *history) createRole() mutation {
	key, permissions := h.key("r"), some(h, h.ours(h.permissions), 4)
	var role *db.Role
	return mutation{
		fmt.Sprintf("create role %s of %v", key, permissions),
		func(ctx context.Context) (err error) {
			role, err = h.writer.CreateRole(ctx, directory.CreateRoleInput{Key: key, Permissions: refs[directory.PermissionRef](permissions)})
			return err
		},
		func(o *oracle, at time.Time) bool {
			if findByKey(o.roles, key) != "" {
				return false
			}
			if role != nil {
				d := &definition{key: key}
				for _, p := range permissions {
					d.add(p, at)
				}
				o.roles[role.ID.String()] = d
			}
			return true
		},
	}
}

func (h *history) deleteRole() mutation {
	id := choose(h, h.ours(h.roles))
	return mutation{
		"delete role " + id,
		func(ctx context.Context) error {
			_, err := h.writer.DeleteRole(ctx, directory.RoleActionInput{Role: directory.RoleRef{ID: &id}})
			return err
		},
		func(o *oracle, at time.Time) bool { o.drop(id, at); return true },
	}
}

func (h *history) renameRole() mutation {
	id, key := choose(h, h.ours(h.roles)), h.key("r")
	return mutation{
		fmt.Sprintf("rename role %s: %s", id, key),
		func(ctx context.Context) error {
			_, err := h.writer.UpdateRole(ctx, directory.UpdateRoleInput{Role: directory.RoleRef{ID: &id}, Key: graphql.OmittableOf(&key)})
			return err
		},
		func(o *oracle, _ time.Time) bool { return rename(o.roles, id, key) },
	}
}

func rename(all map[string]*definition, id, key string) bool {
	if other := findByKey(all, key); other != "" && other != id {
		return false
	}
	all[id].key = key
	return true
}

// editRole adds permissions to a role, or removes some.
func (h *history) editRole() mutation {
	id, permissions, add := choose(h, h.ours(h.roles)), some(h, h.ours(h.permissions), 3), h.random.IntN(2) == 0
	return mutation{
		fmt.Sprintf("role %s, add %v: %v", id, add, permissions),
		func(ctx context.Context) (err error) {
			in := directory.RolePermissionsInput{Role: directory.RoleRef{ID: &id}, Permissions: refs[directory.PermissionRef](permissions)}
			if add {
				_, err = h.writer.AddRolePermissions(ctx, in)
			} else {
				_, err = h.writer.RemoveRolePermissions(ctx, in)
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			for _, p := range permissions {
				if add {
					o.roles[id].add(p, at)
				} else {
					o.roles[id].remove(p, at)
				}
			}
			return true
		},
	}
}

// grant grants roles or permissions to members, sometimes to a non-member, for
// all kinds of times; often on top of earlier grants.
func (h *history) grant() mutation {
	org, users, targets, areRoles := h.chooseGrants()
	if f := h.someLive(); f != nil && h.random.IntN(3) == 0 {
		org, users, targets, areRoles = f.org, []string{f.user}, []string{f.targetID()}, f.role != ""
	}
	t := h.term()
	return mutation{
		fmt.Sprintf("grant %v to %v in %s from %v to %v", targets, users, org, t.starts, t.ends),
		func(ctx context.Context) (err error) {
			if areRoles {
				_, err = h.writer.GrantRoles(ctx, directory.GrantRolesInput{
					Organization: h.orgRef(org), Users: h.userRefs(users), Roles: refs[directory.RoleRef](targets), StartsAt: t.starts, EndsAt: t.ends, Reason: t.reason,
				})
			} else {
				_, err = h.writer.GrantPermissions(ctx, directory.GrantPermissionsInput{
					Organization: h.orgRef(org), Users: h.userRefs(users), Permissions: refs[directory.PermissionRef](targets), StartsAt: t.starts, EndsAt: t.ends, Reason: t.reason,
				})
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			possible := true
			for _, user := range users {
				for _, target := range targets {
					role, permission := target, ""
					if !areRoles {
						role, permission = "", target
					}
					possible = possible && o.members[spot{user, org}] != "" && o.give(spot{user, org}, role, permission, t, at)
				}
			}
			return possible
		},
	}
}

// revoke takes roles or permissions from members, now or at some time: mostly ones
// that they were granted.
func (h *history) revoke() mutation {
	org, users, targets, areRoles := h.chooseGrants()
	f := h.someLive()
	if f != nil && h.random.IntN(4) > 0 {
		org, users, targets, areRoles = f.org, []string{f.user}, []string{f.targetID()}, f.role != ""
	}
	ends := h.someEnd(f)
	return mutation{
		fmt.Sprintf("revoke %v from %v in %s at %v", targets, users, org, ends),
		func(ctx context.Context) (err error) {
			if areRoles {
				_, err = h.writer.RevokeRoles(ctx, directory.RevokeRolesInput{
					Organization: h.orgRef(org), Users: h.userRefs(users), Roles: refs[directory.RoleRef](targets), EndsAt: ends,
				})
			} else {
				_, err = h.writer.RevokePermissions(ctx, directory.RevokePermissionsInput{
					Organization: h.orgRef(org), Users: h.userRefs(users), Permissions: refs[directory.PermissionRef](targets), EndsAt: ends,
				})
			}
			return err
		},
		func(o *oracle, at time.Time) bool {
			for _, user := range users {
				if o.members[spot{user, org}] == "" {
					return false
				}
			}
			return o.take(func(f *fact) bool {
				return f.org == org && slices.Contains(users, f.user) && slices.Contains(targets, f.targetID())
			}, ends, at)
		},
	}
}

// someLive returns a live fact, or nil if there is no such fact.
func (h *history) someLive() *fact {
	live := slices.DeleteFunc(slices.Clone(h.facts), func(f *fact) bool { return !f.live(time.Now()) })
	if len(live) == 0 {
		return nil
	}
	return choose(h, live)
}

// someEnd returns when something is to end: now, too late, soon, or just when the fact
// begins or ends.
func (h *history) someEnd(f *fact) *time.Time {
	now := time.Now().Truncate(time.Microsecond)
	ends := []*time.Time{nil, nil, nil, nil, new(now.Add(-time.Minute)), new(now.Add(200 * time.Millisecond)), new(now.Add(500 * time.Millisecond)), new(now.Add(time.Hour))}
	if f != nil {
		ends = append(ends, new(f.starts), f.ends)
	}
	return choose(h, ends)
}

// chooseGrants chooses what is granted or revoked, and the users.
func (h *history) chooseGrants() (org string, users, targets []string, areRoles bool) {
	org = h.someOrg()
	users = some(h, h.membersOf(org), 3)
	if len(users) == 0 || h.random.IntN(12) == 0 {
		users = some(h, h.listExisting(h.users), 2)
	}
	if h.random.IntN(2) == 0 {
		return org, users, some(h, h.ours(h.roles), 2), true
	}
	return org, users, some(h, h.ours(h.permissions), 3), false
}

// term returns all kinds of terms: past, future, soon, for good.
func (h *history) term() term {
	now := time.Now().Truncate(time.Microsecond)
	in := func(durations ...time.Duration) *time.Time {
		if d := choose(h, durations); d != 0 {
			return new(now.Add(d))
		}
		return nil
	}
	const decades = 2_500_000 * time.Hour // beyond what fits into nanoseconds from 1970
	return term{
		starts: in(0, 0, 0, 0, 0, -time.Hour, -time.Second, 150*time.Millisecond, 400*time.Millisecond, time.Hour),
		ends:   in(0, 0, 0, 0, -time.Minute, 100*time.Millisecond, 300*time.Millisecond, 700*time.Millisecond, time.Hour, decades),
		reason: choose(h, []*string{nil, new("one"), new("other")}),
	}
}

// Helpers for choosing what there is.
