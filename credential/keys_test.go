package credential

import (
	"log/slog"
	"testing"
	"time"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// A key that is remembered counts at the same epoch and within the staleness only, and
// not beyond its end.
func TestFind(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	log := slog.New(slog.DiscardHandler)
	keys := NewKeys(d, changes.NewWriter(d, nil, log, changes.Hooks{}), log)
	t.Cleanup(keys.Close)
	insert := func(expires *time.Time) secret.Text {
		t.Helper()
		key := New()
		row := db.APIKey{ID: db.NewID[db.APIKeyKind](), Name: "Key", Prefix: Shown(key), Hash: Hash(key), CreatedAt: time.Now(), CreatedBy: "system:test", ExpiresAt: expires}
		if _, err := d.NewInsert().Model(&row).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		return key
	}
	found := func(key secret.Text, epoch uint64) bool {
		t.Helper()
		k, err := keys.Find(t.Context(), key, epoch, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		keys.known.Wait()
		return k != nil
	}
	revoke := func() {
		t.Helper()
		if _, err := d.NewRaw("update api_keys set revoked_at = now(), revoked_by = 'system:test'").Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	key, soon := insert(nil), insert(new(time.Now().Add(30*time.Second)))
	for _, unknown := range []secret.Text{New(), secret.New("rk_"), secret.New("other"), {}} {
		if found(unknown, 1) || keys.remembered(sum(unknown)) != nil {
			t.Errorf("%s is known", unknown.Reveal())
		}
	}
	if keys.remembered(sum(key)) != nil || !found(key, 1) || keys.remembered(sum(key)) == nil || !found(soon, 1) {
		t.Error("a key that works is unknown, or is known before it was used")
	}
	if until := keys.remembered(sum(soon)).until; time.Until(until) > 30*time.Second {
		t.Errorf("a key that expires is remembered until %v", until)
	}
	revoke()
	if !found(key, 1) {
		t.Error("the database is asked for a key that was used just before")
	}
	keys.remembered(sum(key)).until = time.Now()
	if found(key, 1) || keys.remembered(sum(key)) != nil {
		t.Error("memory is trusted for longer than the staleness")
	}
	again := insert(nil)
	if !found(again, 1) {
		t.Error("unknown")
	}
	revoke()
	if found(again, 2) {
		t.Error("memory is trusted beyond its epoch")
	}
}
