package access

import (
	"testing"

	"roster/db"
)

// ParseActor parses what String returns, and takes no other text for an id.
func TestParseActor(t *testing.T) {
	t.Parallel()
	wantUser, wantKey := db.NewID[db.UserKind](), db.NewID[db.APIKeyKind]()
	if user, key, system := ParseActor(wantUser.String()); user == nil || *user != wantUser || key != nil || system != "" {
		t.Error("a user:", user, key, system)
	}
	if user, key, system := ParseActor((&Actor{Key: &db.APIKey{ID: wantKey}}).String()); user != nil || key == nil || *key != wantKey || system != "" {
		t.Error("a key:", user, key, system)
	}
	for text, want := range map[string]string{System("setup").String(): "setup", "system:" + wantKey.String(): wantKey.String(), "user_what": "user_what"} {
		t.Run(text, func(t *testing.T) {
			if user, key, system := ParseActor(text); user != nil || key != nil || system != want {
				t.Error(user, key, system)
			}
		})
	}
}
