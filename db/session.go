package db

import (
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
)

// Session is a row of sessions: a person who is signed in on one device, or, through a
// session of a browser, to an application. It holds only the SHA-256 of the secret, in Hash;
// the session of an application has no secret, and random bits there.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:s" json:"-"`

	UserID     UserID          `bun:",pk" json:"userId"`
	ID         SessionID       `bun:",pk" json:"id"`
	Hash       []byte          `json:"-"`
	OrgID      *OrganizationID `json:"organizationId"`
	Methods    []string        `bun:",array" json:"methods"`
	Device     *string         `json:"device"`
	Address    *string         `json:"address"`
	CreatedAt  time.Time       `json:"createdAt"`
	LastUsedAt time.Time       `json:"lastUsedAt"`
	ExpiresAt  time.Time       `json:"expiresAt"`

	// ApplicationID is the application that the person is signed in to, or nil, and ParentID
	// the session of the browser by which they are.
	ApplicationID *ApplicationID `json:"-"`
	ParentID      *SessionID     `json:"-"`
	// Scopes and Audience are what the application's tokens are for.
	Scopes   []string `bun:",array,nullzero" json:"-"`
	Audience *string  `json:"-"`
	// Generation is the number of the present refresh token, since RotatedAt; 0 if the
	// application has none.
	Generation int        `json:"-"`
	RotatedAt  *time.Time `json:"-"`
}

// Password is a row of passwords.
type Password struct {
	bun.BaseModel `bun:"table:passwords,alias:pw"`

	UserID UserID `bun:",pk"`
	Hash   string
	// Temporary is true of a password that must be changed at the next sign-in.
	Temporary bool
	ChangedAt time.Time
}

// Flow is a row of flows: a sign-in, or something else that takes several steps, under
// way. Hash is the SHA-256 of its ticket's secret.
type Flow struct {
	bun.BaseModel `bun:"table:flows,alias:f"`

	ID      FlowID `bun:",pk"`
	Hash    []byte
	Purpose string
	Next    string
	// UserID is nil for a sign-up, and for an unknown account.
	UserID *UserID
	// Account is what the person called their account, folded.
	Account  string
	Email    *string
	CodeHash []byte
	Tries    int
	Methods  []string        `bun:",array"`
	Wish     json.RawMessage `bun:"type:jsonb"`

	CreatedAt time.Time
	ExpiresAt time.Time
}

// Attempt is a row of attempts: how often something that is limited was tried. Name is a
// hash of what that is.
type Attempt struct {
	bun.BaseModel `bun:"table:attempts,alias:a"`

	Name   []byte `bun:",pk"`
	Number float64
	At     time.Time
	// FreeAt is before when no other attempt is made.
	FreeAt time.Time
}

// SignIn is a row of sign_ins: one attempt to sign in.
type SignIn struct {
	bun.BaseModel `bun:"table:sign_ins,alias:si" json:"-"`

	ID        SignInID `bun:",pk"`
	At        time.Time
	UserID    *UserID
	Method    string
	Succeeded bool
	Reason    *string
	Address   *string
	Device    *string
	OrgID     *OrganizationID
}
