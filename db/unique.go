package db

import (
	"strings"

	"github.com/google/uuid"

	"roster/problem"
)

// Unique is a row of which some values may be no other row's: those of the
// table's unique indexes. A constraint tells only of the first that is taken.
type Unique interface {
	// Claims are those values, as Derive has made them.
	Claims() Claims
}

// Claims are the values of a row that no other row of the table may have, among
// those which are no tombstones.
type Claims struct {
	Table  string
	ID     uuid.UUID
	Values []Claim
}

// Claim is one such value, which is nil when the row has none, and the constraint
// on its column.
type Claim struct {
	Constraint, Column string
	Value              *string
}

// Taken is a query, with arguments for bun, that gives the constraints which the
// row would break. It has no text when nothing is claimed.
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

// Refused is the problem that a constraint of Claims stands for.
func Refused(constraint string) *problem.Error {
	known := constraints[constraint]
	return &known
}

// Claims are the user's names: email address, username and external id.
func (u *User) Claims() Claims {
	return Claims{"users", uuid.UUID(u.ID), []Claim{
		{"users_email_key_key", "email_key", u.EmailKey},
		{"users_username_key_key", "username_key", u.UsernameKey},
		{"users_external_id_key_key", "external_id_key", u.ExternalIDKey},
	}}
}

// Claims are the organization's code, if it has one already, and external id.
func (o *Organization) Claims() Claims {
	code := &o.Code
	if o.Code == "" {
		code = nil
	}
	return Claims{"organizations", uuid.UUID(o.ID), []Claim{
		{"organizations_code", "code", code},
		{"organizations_external_id", "external_id_key", o.ExternalIDKey},
	}}
}

// Claims are the role's key.
func (r *Role) Claims() Claims {
	return Claims{"roles", uuid.UUID(r.ID), []Claim{{"roles_key", "key", &r.Key}}}
}

// Claims are the permission's key.
func (p *Permission) Claims() Claims {
	return Claims{"permissions", uuid.UUID(p.ID), []Claim{{"permissions_key", "key", &p.Key}}}
}
