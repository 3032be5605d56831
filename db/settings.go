package db

import "github.com/uptrace/bun"

// Settings is the one row of settings. Which organization is the default one,
// and which roles are, stands with those.
type Settings struct {
	bun.BaseModel `bun:"table:settings,alias:s" json:"-"`

	ID                   bool `bun:",pk" json:"-"`
	AllowSelfSignUp      bool `json:"allowSelfSignUp"`
	SyncProfilesOnSignIn bool `json:"syncProfilesOnSignIn"`
}
