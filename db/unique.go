package db

import (
	"strings"

	"github.com/google/uuid"

	"roster/problem"
)

// Unique is a row of a table with unique indexes. An insert reports only the first
// value that is taken; Claims find all of them.
type Unique interface {
	// Claims returns the values that have to be unique. Call Derive first.
	Claims() Claims
}

// Claims are the values of a row that no other row of the table or view may have, except
// for rows that are deleted.
type Claims struct {
	Table  string
	ID     uuid.UUID
	Values []Claim
}

// Claim is a value that has to be unique, nil if the row does not have it, with its
// column and the constraint on that.
type Claim struct {
	Constraint, Column string
	Value              *string
}

// Taken returns a query, with arguments for bun, that selects the names of the
// constraints that the row would break. The text is empty if there are no values.
func (c Claims) Taken() (text string, args []any) {
	var parts []string
	for _, v := range c.Values {
		if v.Value == nil {
			continue
		}
		parts = append(parts, "select ?::text from "+c.Table+" other where other."+v.Column+" = ? and other.id <> ? and other.deleted_at is null")
		args = append(args, v.Constraint, *v.Value, c.ID)
	}
	return strings.Join(parts, " union all "), args
}

// Refused returns the problem that callers see if a row breaks the constraint.
func Refused(constraint string) *problem.Error {
	known := constraints[constraint]
	return &known
}

// Claims returns the user's email address, username and external id.
func (u *User) Claims() Claims {
	return Claims{Table: "users", ID: uuid.UUID(u.ID), Values: []Claim{
		{Constraint: "users_email_key_key", Column: "email_key", Value: u.EmailKey},
		{Constraint: "users_username_key_key", Column: "username_key", Value: u.UsernameKey},
		{Constraint: "users_external_id_key_key", Column: "external_id_key", Value: u.ExternalIDKey},
	}}
}

// Claims returns the organization's code, if it has one already, and external id.
func (o *Organization) Claims() Claims {
	code := &o.Code
	if o.Code == "" {
		code = nil
	}
	return Claims{Table: "organizations", ID: uuid.UUID(o.ID), Values: []Claim{
		{Constraint: "organizations_code", Column: "code", Value: code},
		{Constraint: "organizations_external_id", Column: "external_id_key", Value: o.ExternalIDKey},
	}}
}

// Claims returns the role's key.
func (r *Role) Claims() Claims {
	return Claims{Table: "roles", ID: uuid.UUID(r.ID), Values: []Claim{{Constraint: "roles_key", Column: "key", Value: &r.Key}}}
}

// Claims returns the permission's key, which must not be a former key of another
// permission either. No constraint refuses that: writers of keys take turns.
func (p *Permission) Claims() Claims {
	return Claims{Table: "permission_keys", ID: uuid.UUID(p.ID), Values: []Claim{{Constraint: "permissions_key", Column: "key", Value: &p.Key}}}
}
