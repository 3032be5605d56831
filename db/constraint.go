package db

import "roster/problem"

// constraints holds, for each constraint, the problem that callers see when the database
// refuses a write because of it.
var constraints = map[string]problem.Error{
	"users_email_key_key":             {Kind: problem.Conflict, Field: "input.email", Message: "Another user has this email address."},
	"users_username_key_key":          {Kind: problem.Conflict, Field: "input.username", Message: "Another user has this username."},
	"users_external_id_key_key":       {Kind: problem.Conflict, Field: "input.externalId", Message: "Another user has this external id."},
	"organizations_code":              {Kind: problem.Conflict, Field: "input.code", Message: "Another organization has this code."},
	"organizations_external_id":       {Kind: problem.Conflict, Field: "input.externalId", Message: "Another organization has this external id."},
	"organization_domains_pkey":       {Kind: problem.Conflict, Field: "input.autoJoinDomains", Message: "Another organization has one of these domains."},
	"permissions_key":                 {Kind: problem.Conflict, Field: "input.key", Message: "Another permission has this key."},
	"roles_key":                       {Kind: problem.Conflict, Field: "input.key", Message: "Another role has this key."},
	"identity_providers_key":          {Kind: problem.Conflict, Field: "input.key", Message: "Another identity provider has this key."},
	"memberships_once":                {Kind: problem.Conflict, Field: "input.users", Message: "The user was added to the organization at the same moment."},
	"role_permissions_live":           {Kind: problem.Conflict, Field: "input.permissions", Message: "The permission was added at the same moment."},
	"organizations_one_default":       {Kind: problem.Conflict, Field: "input.defaultOrganization", Message: "The default organization was changed at the same moment."},
	"organizations_default_is_active": {Kind: problem.Invalid, Field: "input.organization", Message: "The default organization cannot be suspended or deleted."},
	"organizations_have_default":      {Kind: problem.Invalid, Field: "input.organization", Message: "There must be a default organization."},
	"users_have_organization":         {Kind: problem.LastOrganization, Message: "A user must belong to at least one organization."},
}
