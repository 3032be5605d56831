package access

import (
	"testing"

	"roster/db"
)

// ParseActor parses what String returns, and takes no other text for an id.
func TestParseActor(t *testing.T) {
	t.Parallel()
	wantUser, wantKey := db.NewID[db.UserKind](), db.NewID[db.APIKeyKind]()
	if p := ParseActor(wantUser.String()); p != (Party{User: wantUser}) {
		t.Error("a user:", p)
	}
	if p := ParseActor((&Actor{Key: &db.APIKey{ID: wantKey}}).String()); p != (Party{Key: wantKey}) {
		t.Error("a key:", p)
	}
	wantApplication := db.ApplicationID(wantKey)
	if p := ParseActor((&Actor{Key: &db.APIKey{ID: wantKey, IsApplication: true}}).String()); p != (Party{Application: wantApplication}) {
		t.Error("an application:", p)
	}
	for text, want := range map[string]string{System("setup").String(): "setup", "system:" + wantKey.String(): wantKey.String(), "user_what": "user_what"} {
		t.Run(text, func(t *testing.T) {
			if p := ParseActor(text); p != (Party{System: want}) {
				t.Error(p)
			}
		})
	}
}
