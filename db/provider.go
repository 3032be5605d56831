package db

import (
	"time"

	"github.com/uptrace/bun"
)

// IdentityProviderKind says which rules hold for what an identity provider says.
type IdentityProviderKind string

// The kinds of identity providers.
const (
	GoogleProvider    IdentityProviderKind = "GOOGLE"
	MicrosoftProvider IdentityProviderKind = "MICROSOFT"
	// OIDCProvider is any other one that speaks OpenID Connect.
	OIDCProvider IdentityProviderKind = "OIDC"
)

// The tenants of a Microsoft provider that serves the people of more than one.
const (
	AnyOrganization = "organizations"
	AnyAccount      = "common"
)

// IdentityProvider is a row of identity_providers: somebody who signs people in for the
// business, or for one of its organizations.
type IdentityProvider struct {
	bun.BaseModel `bun:"table:identity_providers,alias:ip" json:"-"`

	ID          ProviderID           `bun:",pk" json:"id"`
	Key         string               `json:"key"`
	Kind        IdentityProviderKind `json:"kind"`
	DisplayName string               `json:"displayName"`
	// Issuer is the address of the provider. For Microsoft it ends with the tenant, which
	// may stand for many, and "/v2.0".
	Issuer   string `json:"issuer"`
	ClientID string `json:"clientId"`
	// ClientSecret is sealed. ClientSecretSetAt is in the log of changes in its place.
	ClientSecret      []byte          `json:"-"`
	ClientSecretSetAt time.Time       `json:"clientSecretSetAt"`
	OrgID             *OrganizationID `json:"organizationId"`
	// Domains are those whose addresses are sent to the provider. For an organization
	// that has none here, they are all of the organization's.
	Domains      []string  `bun:",array" json:"domains"`
	Trusted      bool      `json:"trusted"`
	SyncProfiles *bool     `json:"syncProfiles"`
	Enabled      bool      `json:"enabled"`
	CreatedAt    time.Time `json:"createdAt"`
	UpdatedAt    time.Time `json:"updatedAt"`
}
