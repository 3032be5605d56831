package db

import "github.com/uptrace/bun"

// Settings is the only row of settings. The default organization and the default
// roles are marked in their own rows.
type Settings struct {
	bun.BaseModel `bun:"table:settings,alias:s" json:"-"`

	ID                      bool     `bun:",pk" json:"-"`
	AllowSelfSignUp         bool     `json:"allowSelfSignUp"`
	SyncProfilesOnSignIn    bool     `json:"syncProfilesOnSignIn"`
	AllowPasswordSignIn     bool     `json:"allowPasswordSignIn"`
	AllowCodeSignIn         bool     `json:"allowCodeSignIn"`
	AllowOrganizationSignUp bool     `json:"allowOrganizationSignUp"`
	MinimumPasswordLength   int      `json:"minimumPasswordLength"`
	RememberOrganization    bool     `json:"rememberOrganization"`
	SessionIdleSeconds      int      `json:"sessionIdleSeconds"`
	SessionMaximumSeconds   int      `json:"sessionMaximumSeconds"`
	Branding                Branding `bun:"embed:branding_" json:"branding"`
}

// Branding is what hosted pages and mails show of the business.
type Branding struct {
	Name       string  `json:"name"`
	LogoURL    *string `json:"logoUrl"`
	Colour     *string `json:"colour"`
	PrivacyURL *string `json:"privacyUrl"`
	TermsURL   *string `json:"termsUrl"`
}
