package access

import "strings"

// Permission is the key of a permission, such as "invoices:read".
type Permission string

// The permissions of Roster itself. They exist in every business, and can be
// neither changed nor deleted.
const (
	UsersRead          Permission = "roster:users:read"
	UsersWrite         Permission = "roster:users:write"
	OrganizationsRead  Permission = "roster:organizations:read"
	OrganizationsWrite Permission = "roster:organizations:write"
	MembersRead        Permission = "roster:members:read"
	MembersWrite       Permission = "roster:members:write"
	GrantsAny          Permission = "roster:grants:any"
	RolesRead          Permission = "roster:roles:read"
	RolesWrite         Permission = "roster:roles:write"
	SettingsRead       Permission = "roster:settings:read"
	SettingsWrite      Permission = "roster:settings:write"
	KeysWrite          Permission = "roster:keys:write"
	ImportsWrite       Permission = "roster:imports:write"
	SessionsWrite      Permission = "roster:sessions:write"
	HashesRead         Permission = "roster:hashes:read"
	ChangesRead        Permission = "roster:changes:read"
)

// SystemPrefix begins the keys of the permissions of Roster itself.
const SystemPrefix = "roster:"

// IsSystem reports whether the permission is one of Roster itself.
func (p Permission) IsSystem() bool { return strings.HasPrefix(string(p), SystemPrefix) }

// SystemPermission describes a permission of Roster itself.
type SystemPermission struct {
	Key               Permission
	Name, Description string
}

// SystemPermissions are all permissions of Roster itself.
var SystemPermissions = []SystemPermission{
	{Key: UsersRead, Name: "Read users", Description: "See users and their profiles."},
	{Key: UsersWrite, Name: "Write users", Description: "Create, change, suspend and delete users."},
	{Key: OrganizationsRead, Name: "Read organizations", Description: "See organizations."},
	{Key: OrganizationsWrite, Name: "Write organizations", Description: "Create, change, suspend and delete organizations."},
	{Key: MembersRead, Name: "Read members", Description: "See who belongs to an organization, and what they may do there."},
	{Key: MembersWrite, Name: "Write members", Description: "Add, remove and invite members; grant and revoke what one holds oneself."},
	{Key: GrantsAny, Name: "Grant anything", Description: "Hand out permissions that one does not hold, those of Roster excepted."},
	{Key: RolesRead, Name: "Read roles", Description: "See roles and permissions."},
	{Key: RolesWrite, Name: "Write roles", Description: "Define roles and permissions."},
	{Key: SettingsRead, Name: "Read settings", Description: "See the settings of the business."},
	{Key: SettingsWrite, Name: "Write settings", Description: "Change the settings of the business."},
	{Key: KeysWrite, Name: "Manage API keys", Description: "List, create and revoke API keys."},
	{Key: SessionsWrite, Name: "End sessions", Description: "End the sessions of others."},
	{Key: ImportsWrite, Name: "Import users", Description: "Import users from files."},
	{Key: HashesRead, Name: "Export password hashes", Description: "Take the hashes of passwords out with the users."},
	{Key: ChangesRead, Name: "Read changes", Description: "See the log of changes."},
}

// SystemRole describes a role that exists in every business.
type SystemRole struct {
	Key, Name, Description string
	Permissions            []Permission
}

// OrganizationAdministrator is the key of the role of those who manage one organization.
const OrganizationAdministrator = "roster-organization-administrator"

// SystemRoles are the roles that exist in every business. They can be neither
// changed nor deleted.
var SystemRoles = []SystemRole{
	{Key: "roster-administrator", Name: "Administrator", Description: "Everything in Roster.", Permissions: allPermissions()},
	{Key: OrganizationAdministrator, Name: "Organization administrator", Description: "The members of an organization and what they may do.",
		Permissions: []Permission{MembersRead, MembersWrite, OrganizationsRead, RolesRead, ChangesRead}},
	{Key: "roster-viewer", Name: "Viewer", Description: "Sees everything in Roster, changes nothing.",
		Permissions: []Permission{UsersRead, OrganizationsRead, MembersRead, RolesRead, SettingsRead, ChangesRead}},
}

// allPermissions returns the keys of all permissions of Roster itself.
func allPermissions() []Permission {
	keys := make([]Permission, len(SystemPermissions))
	for i, p := range SystemPermissions {
		keys[i] = p.Key
	}
	return keys
}
