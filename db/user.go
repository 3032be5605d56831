package db

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Status is the state of a user, an organization or a membership. A suspended one may not
// act.
type Status string

// The states of users and organizations.
const (
	Active    Status = "ACTIVE"
	Suspended Status = "SUSPENDED"
)

// User is a row of users.
type User struct {
	bun.BaseModel `bun:"table:users,alias:u" json:"-"`

	ID             UserID          `bun:",pk" json:"id"`
	Email          *string         `json:"email"`
	EmailKey       *string         `json:"-"`
	EmailVerified  bool            `json:"emailVerified"`
	Username       *string         `json:"username"`
	UsernameKey    *string         `json:"-"`
	Phone          *string         `json:"phone"`
	GivenName      *string         `json:"givenName"`
	FamilyName     *string         `json:"familyName"`
	Name           string          `json:"name"`
	NameKey        string          `json:"-"`
	PictureURL     *string         `json:"pictureUrl"`
	ExternalID     *string         `json:"externalId"`
	ExternalIDKey  *string         `json:"-"`
	Status         Status          `json:"status"`
	Properties     json.RawMessage `bun:"type:jsonb" json:"properties"`
	Search         string          `json:"-"`
	Version        int             `json:"version"`
	CreatedAt      time.Time       `json:"createdAt"`
	UpdatedAt      time.Time       `json:"updatedAt"`
	LastSignedInAt *time.Time      `json:"lastSignedInAt"`
	SignInCount    int             `json:"signInCount"`
	DeletedAt      *time.Time      `json:"-"`
}

// Derive sets the columns that are computed from others: name, keys and search.
func (u *User) Derive() {
	u.EmailKey, u.UsernameKey, u.ExternalIDKey = emailKeyNull(u.Email), foldNull(u.Username), foldNull(u.ExternalID)
	u.Name = u.displayName()
	u.NameKey = sortKey(u.Name)
	u.Search = searchText(u.EmailKey, u.Email, &u.Name, u.Username, u.ExternalID)
}

// DeriveFrom is Derive for a user who is changed. A text that stays keeps its key,
// which may follow an older rule: see refolding.
func (u *User) DeriveFrom(before *User) {
	u.Derive()
	keepKey(&u.EmailKey, u.Email, before.EmailKey, before.Email)
	keepKey(&u.UsernameKey, u.Username, before.UsernameKey, before.Username)
	keepKey(&u.ExternalIDKey, u.ExternalID, before.ExternalIDKey, before.ExternalID)
}

func keepKey(key **string, text, keyBefore, before *string) {
	if text != nil && before != nil && *text == *before {
		*key = keyBefore
	}
}

// displayName returns the name to show: given and family name, or else the first
// of username, email address, phone number and external id.
func (u *User) displayName() string {
	var parts []string
	for _, part := range []*string{u.GivenName, u.FamilyName} {
		if part != nil && *part != "" {
			parts = append(parts, *part)
		}
	}
	if len(parts) > 0 {
		return strings.Join(parts, " ")
	}
	for _, other := range []*string{u.Username, u.Email, u.Phone, u.ExternalID} {
		if other != nil {
			return *other
		}
	}
	return ""
}

// deletedName replaces the name of a deleted user.
const deletedName = "Deleted user"

// Erase removes all personal data and makes the row a tombstone.
func (u *User) Erase(at time.Time) {
	*u = User{
		ID: u.ID, Name: deletedName, NameKey: Fold(deletedName), Status: Suspended,
		Properties: json.RawMessage("{}"), Version: u.Version + 1,
		CreatedAt: u.CreatedAt, UpdatedAt: at, DeletedAt: &at,
	}
}

// PasswordProvider is the provider of the identity of a user who has a password. Its
// subject is the user's id in text form.
const PasswordProvider = "password"

// Identity is a row of identities: one way for a user to sign in.
type Identity struct {
	bun.BaseModel `bun:"table:identities,alias:i" json:"-"`

	ID IdentityID `bun:",nullzero" json:"id"`
	// Provider is the issuer, such as https://accounts.google.com, or PasswordProvider.
	// Whoever reads identities sees the key of the provider in its place.
	Provider string `bun:",pk" json:"provider"`
	Subject  string `bun:",pk" json:"subject"`
	UserID   UserID `json:"-"`
	// ProviderID is the identity provider that was used last; nil for a password. It may
	// be gone.
	ProviderID     *ProviderID `json:"-"`
	Email          *string     `json:"email"`
	LastSignedInAt *time.Time  `json:"lastSignedInAt"`
	CreatedAt      time.Time   `json:"createdAt"`
}
