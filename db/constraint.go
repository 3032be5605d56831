package db

import (
	"errors"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"roster/problem"
)

// constraints says what it means to a caller when the database refuses a write.
var constraints = map[string]problem.Error{
	"users_email_key_key":             {Kind: problem.Conflict, Field: "input.email", Message: "Another user has this email address."},
	"users_username_key_key":          {Kind: problem.Conflict, Field: "input.username", Message: "Another user has this username."},
	"users_external_id_key_key":       {Kind: problem.Conflict, Field: "input.externalId", Message: "Another user has this external id."},
	"organizations_code":              {Kind: problem.Conflict, Field: "input.code", Message: "Another organization has this code."},
	"organizations_external_id":       {Kind: problem.Conflict, Field: "input.externalId", Message: "Another organization has this external id."},
	"permissions_key":                 {Kind: problem.Conflict, Field: "input.key", Message: "Another permission has this key."},
	"roles_key":                       {Kind: problem.Conflict, Field: "input.key", Message: "Another role has this key."},
	"memberships_once":                {Kind: problem.Conflict, Field: "input.users", Message: "The user was added to the organization at the same moment."},
	"role_permissions_live":           {Kind: problem.Conflict, Field: "input.permissions", Message: "The permission was added at the same moment."},
	"organizations_one_default":       {Kind: problem.Conflict, Field: "input.defaultOrganization", Message: "The default organization was changed at the same moment."},
	"organizations_default_is_active": {Kind: problem.Invalid, Field: "input.organization", Message: "The default organization cannot be suspended or deleted."},
	"organizations_have_default":      {Kind: problem.Invalid, Field: "input.organization", Message: "There must be a default organization."},
	"users_have_organization":         {Kind: problem.LastOrganization, Message: "A user must belong to at least one organization."},
}

// Problem gives err as the caller should see it: what a constraint refused
// becomes the problem that it stands for, any other error stays as it is.
func Problem(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if known, ok := constraints[refused.ConstraintName]; ok {
		return &known
	}
	return err
}

// Retryable tells whether a transaction failed only because another one ran at
// the same time, so that running it again can succeed.
func Retryable(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (refused.Code == "40001" || refused.Code == "40P01")
}

// Unavailable tells whether there was no database to answer, rather than one that
// refused: it could not be reached, has no connection left, or is going down or
// coming up (PostgreSQL, appendix A: classes 08, 53 and 57P).
func Unavailable(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return slices.Contains([]string{"08", "53"}, refused.Code[:2]) || refused.Code[:3] == "57P"
	}
	_, cut := errors.AsType[net.Error](err)
	return cut || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}
