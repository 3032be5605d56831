package changes

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"roster/db"
)

// Action is something that can be done to a subject, such as "user.suspended". The
// variables of this file are all actions, and no other can be recorded. Only this file
// says what can follow from an action: other code reads [Action.Effects].
//
// The zero Action is not an action; see [ActionByName].
type Action struct{ *definition }

// definition is a row of the table of actions.
type definition struct {
	name string
	// subject is the prefix of the ids of subjects.
	subject string
	// effects are replaced only by tests; see Without.
	effects atomic.Pointer[Effects]
}

// Effects are what can follow from an action. If an effect is missing from an action,
// something goes on working after it has ended; a needless effect costs time.
type Effects struct {
	// Names is true if a name by which the subject was found may now stand for
	// something else, or for nothing.
	Names bool
	// Entitlements is true if the entitlements of the subject may have changed: of the
	// member, of the user in each organization, or of all members of the organization.
	Entitlements bool
	// Definitions is true if the set of roles or of permissions, their keys or names, or
	// the permissions that roles contain may have changed.
	Definitions bool
	// Contents is true if the permissions that the role contains have changed.
	Contents bool
	// Credentials is true if API keys may have ended, or may now do something else.
	Credentials bool
	// Sessions is true if sessions of the user who is the subject may have ended, or those
	// of all who use the application.
	Sessions bool
	// Suspends is true if the grants to the member, to the user, or in the organization, no
	// longer count, and Restores is true if they count again.
	Suspends, Restores bool
	// Deletes is true if the role or permission, and all grants of it, have ended.
	Deletes bool
	// Administrator is true if the business may have lost an administrator, provided
	// that the change concerns the business as a whole.
	Administrator bool
}

// The actions on users.
var (
	UserCreated   = define[db.UserKind]("user.created", Effects{})
	UserUpdated   = define[db.UserKind]("user.updated", Effects{Names: true})
	UserSuspended = define[db.UserKind]("user.suspended", Effects{Entitlements: true, Credentials: true, Sessions: true, Suspends: true, Administrator: true})
	UserRestored  = define[db.UserKind]("user.restored", Effects{Entitlements: true, Restores: true})
	// The memberships and API keys of a deleted user end by actions of their own.
	UserDeleted = define[db.UserKind]("user.deleted", Effects{Names: true, Sessions: true, Suspends: true})

	UserSessionsEnded   = define[db.UserKind]("user.sessions.ended", Effects{Sessions: true})
	UserSwitched        = define[db.UserKind]("user.organization.switched", Effects{Sessions: true})
	UserPasswordChanged = define[db.UserKind]("user.password.changed", Effects{})
	UserIdentityLinked  = define[db.UserKind]("user.identity.linked", Effects{})
	// The user was brought in by an import, or was there and has taken values of its file.
	UserImported         = define[db.UserKind]("user.imported", Effects{Names: true})
	UserIdentityUnlinked = define[db.UserKind]("user.identity.unlinked", Effects{Credentials: true})
)

// The actions on organizations.
var (
	OrganizationCreated   = define[db.OrganizationKind]("organization.created", Effects{})
	OrganizationUpdated   = define[db.OrganizationKind]("organization.updated", Effects{Names: true})
	OrganizationSuspended = define[db.OrganizationKind]("organization.suspended", Effects{Entitlements: true, Credentials: true, Suspends: true})
	OrganizationRestored  = define[db.OrganizationKind]("organization.restored", Effects{Entitlements: true, Restores: true})
	// The memberships and API keys of a deleted organization end by actions of their own.
	OrganizationDeleted = define[db.OrganizationKind]("organization.deleted", Effects{Names: true})
)

// The actions on memberships, and on what members are granted.
var (
	// The grants to a new member are recorded as actions of their own.
	MembershipCreated = define[db.MembershipKind]("membership.created", Effects{})
	// The record of a member whom an import has brought in has the grants.
	MembershipImported = define[db.MembershipKind]("membership.imported", Effects{Entitlements: true})
	MembershipDeleted  = define[db.MembershipKind]("membership.deleted", Effects{Entitlements: true, Administrator: true})

	MembershipSuspended = define[db.MembershipKind]("membership.suspended", Effects{Entitlements: true, Credentials: true, Suspends: true, Administrator: true})
	MembershipRestored  = define[db.MembershipKind]("membership.restored", Effects{Entitlements: true, Restores: true})

	RoleGranted        = define[db.MembershipKind]("membership.role.granted", Effects{Entitlements: true})
	RoleGrantChanged   = define[db.MembershipKind]("membership.role.changed", Effects{}) // changes only the reason
	RoleGrantShortened = define[db.MembershipKind]("membership.role.shortened", Effects{Entitlements: true, Administrator: true})
	RoleRevoked        = define[db.MembershipKind]("membership.role.revoked", Effects{Entitlements: true, Administrator: true})

	PermissionGranted        = define[db.MembershipKind]("membership.permission.granted", Effects{Entitlements: true})
	PermissionGrantChanged   = define[db.MembershipKind]("membership.permission.changed", Effects{}) // changes only the reason
	PermissionGrantShortened = define[db.MembershipKind]("membership.permission.shortened", Effects{Entitlements: true, Administrator: true})
	PermissionRevoked        = define[db.MembershipKind]("membership.permission.revoked", Effects{Entitlements: true, Administrator: true})
)

// The actions on invitations. Their records have no address: whoever may, reads it in the
// invitation, as long as that is kept.
var (
	InvitationCreated  = define[db.InvitationKind]("invitation.created", Effects{})
	InvitationResent   = define[db.InvitationKind]("invitation.resent", Effects{})
	InvitationRevoked  = define[db.InvitationKind]("invitation.revoked", Effects{})
	InvitationAccepted = define[db.InvitationKind]("invitation.accepted", Effects{})
)

// The actions on roles.
var (
	RoleCreated            = define[db.RoleKind]("role.created", Effects{Definitions: true})
	RoleUpdated            = define[db.RoleKind]("role.updated", Effects{Definitions: true})
	RoleDeleted            = define[db.RoleKind]("role.deleted", Effects{Definitions: true, Deletes: true, Administrator: true})
	RolePermissionsAdded   = define[db.RoleKind]("role.permissions.added", Effects{Definitions: true, Contents: true})
	RolePermissionsRemoved = define[db.RoleKind]("role.permissions.removed", Effects{Definitions: true, Contents: true, Administrator: true})
)

// The actions on permissions.
var (
	PermissionCreated = define[db.PermissionKind]("permission.created", Effects{Definitions: true})
	PermissionUpdated = define[db.PermissionKind]("permission.updated", Effects{Definitions: true, Credentials: true})
	PermissionDeleted = define[db.PermissionKind]("permission.deleted", Effects{Definitions: true, Credentials: true, Deletes: true})
)

// The actions on API keys.
var (
	APIKeyCreated          = define[db.APIKeyKind]("apiKey.created", Effects{})
	APIKeyAdopted          = define[db.APIKeyKind]("apiKey.adopted", Effects{Credentials: true, Administrator: true})
	APIKeyRevoked          = define[db.APIKeyKind]("apiKey.revoked", Effects{Credentials: true, Administrator: true})
	APIKeyPermissionsAdded = define[db.APIKeyKind]("apiKey.permissions.added", Effects{Credentials: true})
)

// The actions on identity providers.
var (
	IdentityProviderCreated = define[db.ProviderKind]("identityProvider.created", Effects{})
	IdentityProviderUpdated = define[db.ProviderKind]("identityProvider.updated", Effects{})
	IdentityProviderDeleted = define[db.ProviderKind]("identityProvider.deleted", Effects{})
)

// The actions on applications. Sessions that people have with an application end with it,
// and what a MACHINE may do is what an API key may.
var (
	ApplicationCreated      = define[db.ClientKind]("application.created", Effects{})
	ApplicationUpdated      = define[db.ClientKind]("application.updated", Effects{Credentials: true, Administrator: true})
	ApplicationSecretRolled = define[db.ClientKind]("application.secret.rolled", Effects{})
	ApplicationDeleted      = define[db.ClientKind]("application.deleted", Effects{Credentials: true, Sessions: true})
)

// The actions on imports. Actions on people record the rows.
var (
	ImportPlanned   = define[db.ImportKind]("import.planned", Effects{})
	ImportApplied   = define[db.ImportKind]("import.applied", Effects{})
	ImportCancelled = define[db.ImportKind]("import.cancelled", Effects{})
	ImportUndone    = define[db.ImportKind]("import.undone", Effects{})
)

// UsersExported is recorded when somebody asks for a file with users, of the business or of
// one organization.
var UsersExported = define[usersKind]("users.exported", Effects{})

// UsersSubject is the subject of actions on the users as a whole, which have no id.
const UsersSubject = "users"

type usersKind struct{}

func (usersKind) Prefix() string { return UsersSubject }

// The actions on the settings. Roles that become default ones are changed by actions of
// their own.
var (
	SettingsCreated = define[settingsKind]("settings.created", Effects{})
	SettingsUpdated = define[settingsKind]("settings.updated", Effects{})
)

// SettingsSubject is the subject of actions on the settings, which have no id because
// there is only one row of them.
const SettingsSubject = "settings"

type settingsKind struct{}

func (settingsKind) Prefix() string { return SettingsSubject }

// actions holds all actions by name.
var actions map[string]Action

func define[K db.Kind](name string, effects Effects) Action {
	var kind K
	if actions == nil {
		actions = map[string]Action{}
	}
	a := Action{&definition{name: name, subject: kind.Prefix()}}
	a.effects.Store(&effects)
	actions[name] = a
	return a
}

// Actions returns all actions, ordered by name.
func Actions() []Action {
	return slices.SortedFunc(maps.Values(actions), func(a, b Action) int { return strings.Compare(a.name, b.name) })
}

// ActionByName returns the action of that name. It returns the zero Action for a name
// that this version does not know.
func ActionByName(name string) Action { return actions[name] }

// String returns the action's name, as it stands in the log of changes; empty for the
// zero Action.
func (a Action) String() string {
	if !a.Known() {
		return ""
	}
	return a.name
}

// Known reports whether a is not the zero Action.
func (a Action) Known() bool { return a.definition != nil }

// Effects returns what can follow from the action. It returns none for the zero Action.
// If that stands for an action of a later version, the caller has to assume the worst.
func (a Action) Effects() Effects {
	if !a.Known() {
		return Effects{}
	}
	return *a.effects.Load()
}

// takes reports whether the action can be done to subject, an id in text form.
func (a Action) takes(subject string) bool {
	prefix, _, _ := strings.Cut(subject, "_")
	return a.Known() && prefix == a.subject
}

// NamesWhere returns the names of the actions whose effects satisfy has, in order. It is
// for statements over the log.
func NamesWhere(has func(Effects) bool) []string {
	var names []string
	for _, a := range Actions() {
		if has(a.Effects()) {
			names = append(names, a.name)
		}
	}
	return names
}
