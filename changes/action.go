package changes

import (
	"maps"
	"slices"
	"strings"

	"roster/db"
)

// Action is something that can be done to a subject, such as "user.suspended".
// The variables of this file are all there are, and only they can be recorded.
// What follows from an action stands here alone: whoever has to know it reads
// [Action.Effects].
//
// The zero Action is none; see [ActionByName].
type Action struct{ *definition }

// definition is a row of the table of actions.
type definition struct {
	name string
	// subject begins the ids of the subjects.
	subject string
	effects Effects
}

// Effects say what may follow from an action. One that is missing keeps alive
// what has ended; one that is needless costs time.
type Effects struct {
	// Names says that the subject may be called otherwise afterwards, so that a
	// name that was known for it stands for another, or for nobody.
	Names bool
	// Entitlements says that the subject (a member, or everybody who is the user or
	// belongs to the organization) may be entitled to something else.
	Entitlements bool
	// Definitions says that there are other roles or permissions, or that they
	// contain, or are called, something else.
	Definitions bool
	// Contents says that the role contains other permissions.
	Contents bool
	// Credentials says that API keys may no longer work, or may do something else.
	Credentials bool
	// Suspends says that the entitlements of the user or in the organization no
	// longer count, and Restores that they count again.
	Suspends, Restores bool
	// Deletes says that the role or permission is gone, and with it the grants of it.
	Deletes bool
	// Administrator says that the business may have lost an administrator, if the
	// change concerns the business as a whole.
	Administrator bool
}

// The actions on users.
var (
	UserCreated   = define[db.UserKind]("user.created", Effects{})
	UserUpdated   = define[db.UserKind]("user.updated", Effects{Names: true})
	UserSuspended = define[db.UserKind]("user.suspended", Effects{Entitlements: true, Credentials: true, Suspends: true, Administrator: true})
	UserRestored  = define[db.UserKind]("user.restored", Effects{Entitlements: true, Restores: true})
	// What a deleted user had ends by actions on memberships and API keys.
	UserDeleted = define[db.UserKind]("user.deleted", Effects{Names: true, Suspends: true})
)

// The actions on organizations.
var (
	OrganizationCreated   = define[db.OrganizationKind]("organization.created", Effects{})
	OrganizationUpdated   = define[db.OrganizationKind]("organization.updated", Effects{Names: true})
	OrganizationSuspended = define[db.OrganizationKind]("organization.suspended", Effects{Entitlements: true, Credentials: true, Suspends: true})
	OrganizationRestored  = define[db.OrganizationKind]("organization.restored", Effects{Entitlements: true, Restores: true})
	// What there was in a deleted organization ends by actions on memberships and
	// API keys.
	OrganizationDeleted = define[db.OrganizationKind]("organization.deleted", Effects{Names: true})
)

// The actions on memberships, and on what members are granted.
var (
	// What a newcomer is granted follows as actions of its own.
	MembershipCreated = define[db.MembershipKind]("membership.created", Effects{})
	MembershipDeleted = define[db.MembershipKind]("membership.deleted", Effects{Entitlements: true, Administrator: true})

	RoleGranted        = define[db.MembershipKind]("membership.role.granted", Effects{Entitlements: true})
	RoleGrantChanged   = define[db.MembershipKind]("membership.role.changed", Effects{}) // only why it was granted
	RoleGrantShortened = define[db.MembershipKind]("membership.role.shortened", Effects{Entitlements: true, Administrator: true})
	RoleRevoked        = define[db.MembershipKind]("membership.role.revoked", Effects{Entitlements: true, Administrator: true})

	PermissionGranted        = define[db.MembershipKind]("membership.permission.granted", Effects{Entitlements: true})
	PermissionGrantChanged   = define[db.MembershipKind]("membership.permission.changed", Effects{}) // only why it was granted
	PermissionGrantShortened = define[db.MembershipKind]("membership.permission.shortened", Effects{Entitlements: true, Administrator: true})
	PermissionRevoked        = define[db.MembershipKind]("membership.permission.revoked", Effects{Entitlements: true, Administrator: true})
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
	APIKeyRevoked          = define[db.APIKeyKind]("apiKey.revoked", Effects{Credentials: true, Administrator: true})
	APIKeyPermissionsAdded = define[db.APIKeyKind]("apiKey.permissions.added", Effects{Credentials: true})
)

// The actions on the settings, which change the roles that they make default ones
// by actions on those.
var (
	SettingsCreated = define[settingsKind]("settings.created", Effects{})
	SettingsUpdated = define[settingsKind]("settings.updated", Effects{})
)

// SettingsSubject stands for an id of the settings, of which there is one row.
const SettingsSubject = "settings"

type settingsKind struct{}

func (settingsKind) Prefix() string { return SettingsSubject }

// actions is the table, by name.
var actions map[string]Action

func define[K db.Kind](name string, effects Effects) Action {
	var kind K
	if actions == nil {
		actions = map[string]Action{}
	}
	a := Action{&definition{name: name, subject: kind.Prefix(), effects: effects}}
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

// String returns the action's name, as the log of changes has it.
func (a Action) String() string {
	if !a.Known() {
		return ""
	}
	return a.name
}

// Known reports whether a is an action at all.
func (a Action) Known() bool { return a.definition != nil }

// Effects returns what may follow from the action. What cannot be told of the
// zero Action, which a later version may have recorded, is for the caller to
// assume.
func (a Action) Effects() Effects {
	if !a.Known() {
		return Effects{}
	}
	return a.effects
}

// takes reports whether subject, an id in text form, is one that the action can
// be done to.
func (a Action) takes(subject string) bool {
	prefix, _, _ := strings.Cut(subject, "_")
	return a.Known() && prefix == a.subject
}

// NamesWhere returns the names of the actions whose effects satisfy has, ordered,
// for statements over the log.
func NamesWhere(has func(Effects) bool) []string {
	var names []string
	for _, a := range Actions() {
		if has(a.effects) {
			names = append(names, a.name)
		}
	}
	return names
}
