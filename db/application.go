package db

import (
	"time"

	"github.com/uptrace/bun"
)

// ApplicationKind says where an application runs, and with it whether it can keep a secret.
type ApplicationKind string

// The kinds of applications. WEB runs on a server, and keeps a secret; SPA runs in a
// browser, and NATIVE on a device of the person's. MACHINE acts for itself, and signs nobody
// in.
const (
	WebApplication     ApplicationKind = "WEB"
	SPAApplication     ApplicationKind = "SPA"
	NativeApplication  ApplicationKind = "NATIVE"
	MachineApplication ApplicationKind = "MACHINE"
)

// KeepsSecret reports whether applications of the kind have a secret.
func (k ApplicationKind) KeepsSecret() bool { return k == WebApplication || k == MachineApplication }

// Application is a row of applications: a client of OpenID Connect.
type Application struct {
	bun.BaseModel `bun:"table:applications,alias:ap" json:"-"`

	ID           ApplicationID   `bun:",pk" json:"id"`
	Name         string          `json:"name"`
	Kind         ApplicationKind `json:"kind"`
	RedirectURLs []string        `bun:"redirect_urls,array" json:"redirectUrls"`
	LogoutURLs   []string        `bun:"logout_urls,array" json:"logoutUrls"`
	// Audiences are whom its tokens may be for.
	Audiences []string `bun:",array" json:"audiences"`
	// SecretHash is the SHA-256 of the secret; FormerSecretHash of the one before, which
	// works until FormerSecretEndsAt.
	SecretHash         []byte     `json:"-"`
	FormerSecretHash   []byte     `json:"-"`
	FormerSecretEndsAt *time.Time `json:"-"`
	CreatedAt          time.Time  `json:"createdAt"`
	DeletedAt          *time.Time `json:"-"`
}

// ClientID returns the text form of the id, by which the application calls itself.
func (a *Application) ClientID() string { return a.ID.String() }

// KeyID returns the id of the API key that has what a MACHINE may do, and what answers for
// it. It has no secret.
func (a *Application) KeyID() APIKeyID { return APIKeyID(a.ID) }

// AuthorizationCode is a row of authorization_codes: what a person has signed in to an
// application with. Hash is the SHA-256 of the code.
type AuthorizationCode struct {
	bun.BaseModel `bun:"table:authorization_codes,alias:ac"`

	UserID        UserID              `bun:",pk"`
	ID            AuthorizationCodeID `bun:",pk"`
	Hash          []byte
	ApplicationID ApplicationID
	// SessionID is the session of the browser.
	SessionID   SessionID
	OrgID       OrganizationID
	RedirectURL string `bun:"redirect_url"`
	// Challenge is the SHA-256 of what the client shows with the code, in base64url (RFC
	// 7636).
	Challenge string
	Nonce     *string
	Scopes    []string `bun:",array"`
	Audience  string
	Device    *string
	Address   *string
	ExpiresAt time.Time
	// FamilyID is the session that was begun with the code, or nil.
	FamilyID *SessionID
}
