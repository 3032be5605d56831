package directory

import (
	"fmt"

	"roster/access"
	"roster/db"
)

// foresight holds, by the names of mutations in the schema, what each of them names and
// how it locks that: a function adds it, and returns the permission that the mutation
// needs, if it needs one. See LockAhead.
var foresight = map[string]func(n *names, input any) access.Permission{
	"createUser": foresee(func(n *names, in CreateUserInput) access.Permission {
		n.userNames(in.Email, in.Username, in.ExternalID)
		n.organizations.share = append(n.organizations.share, refLooks(in.Organizations)...)
		n.newMembers(in.Roles, in.Organizations == nil)
		return access.UsersWrite
	}),
	"createUsers": foresee(func(n *names, in CreateUsersInput) access.Permission {
		if len(in.Users) > maxList {
			return access.UsersWrite // which is refused
		}
		for _, user := range in.Users {
			n.userNames(user.Email, user.Username, user.ExternalID)
			n.organizations.share = append(n.organizations.share, refLooks(user.Organizations)...)
			n.newMembers(user.Roles, user.Organizations == nil)
		}
		return access.UsersWrite
	}),
	"updateUser": foresee(func(n *names, in UpdateUserInput) access.Permission {
		n.users = append(n.users, in.User.lookUp())
		n.userNames(in.Email.Value(), in.Username.Value(), in.ExternalID.Value())
		return access.UsersWrite
	}),
	"suspendUser": foresee(func(n *names, in UserActionInput) access.Permission {
		n.endsUsers = true
		return n.oneUser(in)
	}),
	"restoreUser": foresee((*names).oneUser),
	"offboardUser": foresee(func(n *names, in OffboardUserInput) access.Permission {
		n.leaving, n.endsUsers = append(n.leaving, in.User.lookUp()), true
		n.defaults = true
		return n.oneUser(UserActionInput{User: in.User})
	}),
	"deleteUser": foresee(func(n *names, in UserActionInput) access.Permission {
		n.leaving, n.endsUsers = append(n.leaving, in.User.lookUp()), true
		return n.oneUser(in)
	}),

	"createOrganization": foresee(func(n *names, in CreateOrganizationInput) access.Permission {
		n.organizationNames(in.Code, in.ExternalID)
		n.domains(in.AutoJoinDomains)
		if in.Code == nil && !tooLarge(in.Name, maxName) {
			n.claim("organization", lookUp{"code", codeOf(in.Name, db.OrganizationID{}), true})
		}
		n.roles.share = append(n.roles.share, refLooks(in.DefaultRoles)...)
		return access.OrganizationsWrite
	}),
	"updateOrganization": foresee(func(n *names, in UpdateOrganizationInput) access.Permission {
		n.organizationNames(nil, in.ExternalID.Value())
		n.domains(in.AutoJoinDomains.Value())
		n.roles.share = append(n.roles.share, refLooks(in.DefaultRoles.Value())...)
		n.settings = n.settings || in.DefaultRoles.IsSet()
		return n.oneOrganization(OrganizationActionInput{in.Organization})
	}),
	"suspendOrganization": foresee((*names).oneOrganization),
	"restoreOrganization": foresee((*names).oneOrganization),
	"deleteOrganization": foresee(func(n *names, in OrganizationActionInput) access.Permission {
		n.alone = true
		n.deletedOrganizations = append(n.deletedOrganizations, in.Organization.lookUp())
		n.defaults = true
		return n.oneOrganization(in)
	}),

	"addMembers": foresee(func(n *names, in AddMembersInput) access.Permission {
		n.newMembers(in.Roles, false)
		return n.members(in.Organization, in.Users)
	}),
	"removeMembers": foresee(func(n *names, in RemoveMembersInput) access.Permission {
		n.leaving = append(n.leaving, refLooks(in.Users)...)
		return n.members(in.Organization, in.Users)
	}),
	"suspendMember": foresee((*names).oneMember),
	"restoreMember": foresee((*names).oneMember),
	"moveMember": foresee(func(n *names, in MoveMemberInput) access.Permission {
		n.leaving = append(n.leaving, in.User.lookUp())
		n.newMembers(nil, false)
		n.organizations.share = append(n.organizations.share, in.To.lookUp())
		return n.members(in.From, []*UserRef{&in.User})
	}),
	"grantRoles": foresee(func(n *names, in GrantRolesInput) access.Permission {
		n.roles.share = append(n.roles.share, refLooks(in.Roles)...)
		return n.members(in.Organization, in.Users)
	}),
	"revokeRoles": foresee(func(n *names, in RevokeRolesInput) access.Permission {
		n.roles.share = append(n.roles.share, refLooks(in.Roles)...)
		return n.members(in.Organization, in.Users)
	}),
	"grantPermissions": foresee(func(n *names, in GrantPermissionsInput) access.Permission {
		n.permissions.share = append(n.permissions.share, refLooks(in.Permissions)...)
		return n.members(in.Organization, in.Users)
	}),
	"revokePermissions": foresee(func(n *names, in RevokePermissionsInput) access.Permission {
		n.permissions.share = append(n.permissions.share, refLooks(in.Permissions)...)
		return n.members(in.Organization, in.Users)
	}),

	"invite": foresee(func(n *names, in InviteInput) access.Permission {
		n.roles.share = append(n.roles.share, refLooks(in.Roles)...)
		n.claim("invitation", UserRef{Email: &in.Email}.lookUp())
		if in.Organization == nil {
			n.defaults = true
		} else {
			n.organizations.share = append(n.organizations.share, in.Organization.lookUp())
		}
		return access.MembersWrite
	}),
	"resendInvitation": foresee((*names).oneInvitation),
	"revokeInvitation": foresee((*names).oneInvitation),

	"createPermission": foresee(func(n *names, _ CreatePermissionInput) access.Permission {
		n.claims = append(n.claims, keysLock)
		return access.RolesWrite
	}),
	"updatePermission": foresee(func(n *names, in UpdatePermissionInput) access.Permission {
		n.claims = append(n.claims, keysLock)
		n.permissions.change = append(n.permissions.change, in.Permission.lookUp())
		return access.RolesWrite
	}),
	"deletePermission": foresee(func(n *names, in PermissionActionInput) access.Permission {
		n.alone = true
		n.permissions.change = append(n.permissions.change, in.Permission.lookUp())
		n.deletedPermissions = append(n.deletedPermissions, in.Permission.lookUp())
		return access.RolesWrite
	}),
	"createRole": foresee(func(n *names, in CreateRoleInput) access.Permission {
		n.claim("role", RoleRef{Key: &in.Key}.lookUp())
		n.permissions.share = append(n.permissions.share, refLooks(in.Permissions)...)
		return access.RolesWrite
	}),
	"updateRole": foresee(func(n *names, in UpdateRoleInput) access.Permission {
		n.claim("role", RoleRef{Key: in.Key.Value()}.lookUp())
		if in.IsDefault.IsSet() {
			n.settings, n.alone = true, true
		}
		return n.oneRole(in.Role)
	}),
	"deleteRole": foresee(func(n *names, in RoleActionInput) access.Permission {
		n.alone = true
		n.deletedRoles = append(n.deletedRoles, in.Role.lookUp())
		return n.oneRole(in.Role)
	}),
	"addRolePermissions":    foresee((*names).contents),
	"removeRolePermissions": foresee((*names).contents),

	"updateSettings": foresee(func(n *names, in UpdateSettingsInput) access.Permission {
		n.settings, n.newDefault, n.newRoles = true, n.newDefault || in.DefaultOrganization.IsSet(), n.newRoles || in.DefaultRoles.IsSet()
		if org := in.DefaultOrganization.Value(); org != nil {
			n.organizations.change = append(n.organizations.change, org.lookUp())
		}
		n.roles.change = append(n.roles.change, refLooks(in.DefaultRoles.Value())...)
		return access.SettingsWrite
	}),

	// All of these take turns, and few there are.
	"createIdentityProvider": foresee(func(n *names, in CreateIdentityProviderInput) access.Permission {
		n.settings = true
		if in.Organization != nil {
			n.organizations.share = append(n.organizations.share, in.Organization.lookUp())
		}
		return access.SettingsWrite
	}),
	"updateIdentityProvider": providersOnly,
	"deleteIdentityProvider": providersOnly,

	"createApiKey": foresee(func(n *names, in CreateAPIKeyInput) access.Permission {
		n.alone = true
		if in.Organization != nil {
			n.organizations.share = append(n.organizations.share, in.Organization.lookUp())
		}
		if in.User != nil {
			n.users = append(n.users, in.User.lookUp())
		}
		n.permissions.share = append(n.permissions.share, refLooks(in.Permissions)...)
		return access.KeysWrite
	}),
	"revokeApiKey": foresee((*names).oneKey),
	"adoptApiKey": foresee(func(n *names, in APIKeyActionInput) access.Permission {
		n.claims = append(n.claims, adoptionsLock)
		return n.oneKey(in)
	}),

	"createApplication": foresee(func(n *names, in CreateApplicationInput) access.Permission {
		n.machine(in.Organization, in.Permissions)
		return access.SettingsWrite
	}),
	"updateApplication": foresee(func(n *names, in UpdateApplicationInput) access.Permission {
		n.claims = append(n.claims, adoptionsLock)
		n.machine(in.Organization.Value(), in.Permissions.Value())
		return n.oneApplication(ApplicationActionInput{in.Application})
	}),
	"deleteApplication": foresee((*names).oneApplication),

	"updateViewer": foresee(func(n *names, in UpdateViewerInput) access.Permission {
		n.userNames(nil, in.Username.Value(), nil)
		n.own = true
		return ""
	}),
	"leaveOrganization":  ownOnly,
	"switchOrganization": ownOnly,
	"signOut":            ownOnly,
	"endSession":         ownOnly,
	"unlinkIdentity":     ownOnly,
	"requestEmailChange": ownOnly,
	// It names an address, and locks nothing of whoever has it.
	"requestPasswordReset": func(*names, any) access.Permission { return "" },
	// It reads only.
	"exportUsers": func(*names, any) access.Permission { return "" },
	// Imports lock nothing that others do, and their people later.
	"planImport":   func(*names, any) access.Permission { return "" },
	"applyImport":  func(*names, any) access.Permission { return "" },
	"cancelImport": func(*names, any) access.Permission { return "" },
	"undoImport":   func(*names, any) access.Permission { return "" },
}

// ownOnly is the function of a mutation of what is the actor's own. Of somebody else's,
// it locks only that person, or what the person has.
func ownOnly(n *names, _ any) access.Permission {
	n.own = true
	return ""
}

// providersOnly is the function of a mutation of an identity provider that exists.
func providersOnly(n *names, _ any) access.Permission {
	n.settings = true
	return access.SettingsWrite
}

// foresee returns the function of a mutation with inputs of type T.
func foresee[T any](add func(n *names, in T) access.Permission) func(n *names, input any) access.Permission {
	return func(n *names, input any) access.Permission {
		in, ok := input.(T)
		if !ok {
			panic(fmt.Sprintf("a mutation with an input of %T, not %T", input, in)) // which a test would have found
		}
		return add(n, in)
	}
}

func refLooks[R interface{ lookUp() lookUp }](refs []*R) []lookUp {
	looks := make([]lookUp, len(refs))
	for i, ref := range refs {
		looks[i] = (*ref).lookUp()
	}
	return looks
}

func (n *names) oneUser(in UserActionInput) access.Permission {
	n.users = append(n.users, in.User.lookUp())
	return access.UsersWrite
}

func (n *names) oneOrganization(in OrganizationActionInput) access.Permission {
	n.organizations.change = append(n.organizations.change, in.Organization.lookUp())
	return access.OrganizationsWrite
}

func (n *names) oneRole(role RoleRef) access.Permission {
	n.roles.change = append(n.roles.change, role.lookUp())
	return access.RolesWrite
}

func (n *names) oneKey(in APIKeyActionInput) access.Permission {
	if id, err := db.ParseID[db.APIKeyKind](in.APIKey); err == nil {
		n.keys = append(n.keys, id)
	}
	return access.KeysWrite
}

func (n *names) oneInvitation(in InvitationActionInput) access.Permission {
	if id, err := db.ParseID[db.InvitationKind](in.Invitation); err == nil {
		n.claim("invitation", lookUp{"id", id.String(), true})
	}
	return access.MembersWrite
}

// machine adds what a MACHINE may do, and where.
func (n *names) machine(org *OrganizationRef, permissions []*PermissionRef) {
	n.alone = true
	if org != nil {
		n.organizations.share = append(n.organizations.share, org.lookUp())
	}
	n.permissions.share = append(n.permissions.share, refLooks(permissions)...)
}

// oneApplication adds what an application may do by itself.
func (n *names) oneApplication(in ApplicationActionInput) access.Permission {
	if id, err := db.ParseID[db.ClientKind](in.Application); err == nil {
		n.keys = append(n.keys, db.APIKeyID(id))
	}
	return access.SettingsWrite
}

// contents adds what a mutation of the contents of a role names.
func (n *names) contents(in RolePermissionsInput) access.Permission {
	n.permissions.share = append(n.permissions.share, refLooks(in.Permissions)...)
	return n.oneRole(in.Role)
}

// members adds members of an organization.
func (n *names) members(org OrganizationRef, users []*UserRef) access.Permission {
	n.organizations.share = append(n.organizations.share, org.lookUp())
	n.users = append(n.users, refLooks(users)...)
	return access.MembersWrite
}

func (n *names) oneMember(in MemberActionInput) access.Permission {
	return n.members(in.Organization, []*UserRef{&in.User})
}

// newMembers adds the roles that new members get: those that are named or, if roles is
// nil, the default ones. somewhere reports whether they join the default organization.
func (n *names) newMembers(roles []*RoleRef, somewhere bool) {
	n.roles.share = append(n.roles.share, refLooks(roles)...)
	n.defaults = n.defaults || somewhere || roles == nil
}

func (n *names) userNames(email, username, externalID *string) {
	for _, ref := range []UserRef{{Email: email}, {Username: username}, {ExternalID: externalID}} {
		n.claim("user", ref.lookUp())
	}
}

func (n *names) organizationNames(code, externalID *string) {
	for _, ref := range []OrganizationRef{{Code: code}, {ExternalID: externalID}} {
		n.claim("organization", ref.lookUp())
	}
}

// domains adds the domains by which people are to join an organization.
func (n *names) domains(values []string) {
	for _, value := range values[:min(len(values), maxDomains)] {
		if domain, ok := domainOf(value); ok {
			n.claim("domain", lookUp{"domain", domain, true})
		}
	}
}
