// Package access says who may do what: the permissions of Roster itself, the
// actor on whose behalf a request runs, and whether the actor may do something
// in an organization.
package access

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
	ChangesRead        Permission = "roster:changes:read"
)

// SystemPrefix begins the keys of the permissions of Roster itself.
const SystemPrefix = "roster:"

// SystemPermission describes a permission of Roster itself.
type SystemPermission struct {
	Key               Permission
	Name, Description string
}

// SystemPermissions are all permissions of Roster itself.
var SystemPermissions = []SystemPermission{
	{UsersRead, "Read users", "See users and their profiles."},
	{UsersWrite, "Write users", "Create, change, suspend and delete users."},
	{OrganizationsRead, "Read organizations", "See organizations."},
	{OrganizationsWrite, "Write organizations", "Create, change, suspend and delete organizations."},
	{MembersRead, "Read members", "See who belongs to an organization, and what they may do there."},
	{MembersWrite, "Write members", "Add, remove and invite members; grant and revoke what one holds oneself."},
	{GrantsAny, "Grant anything", "Hand out permissions that one does not hold, those of Roster excepted."},
	{RolesRead, "Read roles", "See roles and permissions."},
	{RolesWrite, "Write roles", "Define roles and permissions."},
	{SettingsRead, "Read settings", "See the settings of the business."},
	{SettingsWrite, "Write settings", "Change the settings of the business."},
	{KeysWrite, "Manage API keys", "List, create and revoke API keys."},
	{ImportsWrite, "Import users", "Import users from files."},
	{ChangesRead, "Read changes", "See the log of changes."},
}

// SystemRole describes a role that exists in every business.
type SystemRole struct {
	Key, Name, Description string
	Permissions            []Permission
}

// SystemRoles are the roles that exist in every business. They can be neither
// changed nor deleted.
var SystemRoles = []SystemRole{
	{"roster-administrator", "Administrator", "Everything in Roster.", all()},
	{"roster-organization-administrator", "Organization administrator", "The members of an organization and what they may do.",
		[]Permission{MembersRead, MembersWrite, OrganizationsRead, RolesRead, ChangesRead}},
	{"roster-viewer", "Viewer", "Sees everything in Roster, changes nothing.",
		[]Permission{UsersRead, OrganizationsRead, MembersRead, RolesRead, SettingsRead, ChangesRead}},
}

func all() []Permission {
	keys := make([]Permission, len(SystemPermissions))
	for i, p := range SystemPermissions {
		keys[i] = p.Key
	}
	return keys
}
