package db

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Organization is a row of organizations.
type Organization struct {
	bun.BaseModel `bun:"table:organizations,alias:o" json:"-"`

	ID              OrganizationID  `bun:",pk" json:"id"`
	Code            string          `json:"code"`
	Name            string          `json:"name"`
	NameKey         string          `json:"-"`
	ExternalID      *string         `json:"externalId"`
	ExternalIDKey   *string         `json:"-"`
	IsDefault       bool            `json:"isDefault"`
	Status          Status          `json:"status"`
	Properties      json.RawMessage `bun:"type:jsonb" json:"properties"`
	AutoJoinDomains []string        `bun:",array" json:"autoJoinDomains"`
	AllowSelfSignUp bool            `json:"allowSelfSignUp"`
	Search          string          `json:"-"`
	Version         int             `json:"version"`
	CreatedAt       time.Time       `json:"createdAt"`
	UpdatedAt       time.Time       `json:"updatedAt"`
	DeletedAt       *time.Time      `json:"-"`
}

// Root is the id of the organization that stands for the business as a whole: a grant
// there counts in all other organizations. Root is hidden: no list contains it.
var Root = OrganizationID{6: 0x70, 8: 0x80}

// RootSQL is Root in the text of a statement.
var RootSQL = "'" + uuid.UUID(Root).String() + "'::uuid"

// Derive sets the columns that are computed from others: keys and search.
func (o *Organization) Derive() {
	o.NameKey, o.ExternalIDKey = sortKey(o.Name), foldNull(o.ExternalID)
	o.Search = searchText(&o.Name, &o.Code, o.ExternalID)
}

// DeriveFrom is Derive for an organization that is changed. A text that stays keeps
// its key, which may follow an older rule: see refolding.
func (o *Organization) DeriveFrom(before *Organization) {
	o.Derive()
	keepKey(&o.ExternalIDKey, o.ExternalID, before.ExternalIDKey, before.ExternalID)
}

// OrganizationDomain is a row of organization_domains: people with an address of the
// domain, in the form that Domain returns, join the organization, which has it in
// AutoJoinDomains.
type OrganizationDomain struct {
	bun.BaseModel `bun:"table:organization_domains,alias:od"`

	Domain string `bun:",pk"`
	OrgID  OrganizationID
}

// OrganizationDefaultRole is a row of organization_default_roles: a role that new
// members of the organization receive.
type OrganizationDefaultRole struct {
	bun.BaseModel `bun:"table:organization_default_roles,alias:odr"`

	OrgID  OrganizationID `bun:",pk"`
	RoleID RoleID         `bun:",pk"`
}
