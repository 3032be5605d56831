package db

import "github.com/uptrace/bun"

// Settings is the only row of settings. The default organization and the default
// roles are marked in their own rows.
type Settings struct {
	bun.BaseModel `bun:"table:settings,alias:s" json:"-"`

	ID                   bool `bun:",pk" json:"-"`
	AllowSelfSignUp      bool `json:"allowSelfSignUp"`
	SyncProfilesOnSignIn bool `json:"syncProfilesOnSignIn"`
}
