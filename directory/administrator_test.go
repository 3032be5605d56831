package directory_test

import (
	"sync"
	"testing"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
)

// TestLastAdministrator would find a business that nobody can administer: each
// of two administrators revoked the other's key, at the same moment.
func TestLastAdministrator(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	for range 20 {
		b.raceOfAdministrators()
	}
}

func (b *business) raceOfAdministrators() {
	b.t.Helper()
	var all []*directory.PermissionRef
	for _, p := range access.SystemPermissions {
		key := string(p.Key)
		all = append(all, &directory.PermissionRef{Key: &key})
	}
	ids := make([]string, 2)
	for i := range ids {
		key, _, err := b.CreateAPIKey(b.ctx, directory.CreateAPIKeyInput{Name: "Administrator", Permissions: all})
		if err != nil {
			b.t.Fatal(err)
		}
		ids[i] = key.ID.String()
	}
	var work sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		work.Go(func() { _, errs[i] = b.RevokeAPIKey(b.ctx, directory.APIKeyActionInput{APIKey: id}) })
	}
	work.Wait()
	refused := 0
	for i, err := range errs {
		if problem.Is(err, problem.LastAdministrator) {
			refused++
			// It is one key too many for the next round.
			if _, err := b.db.NewRaw("update api_keys set revoked_at = now() where id = ?", must(db.ParseID[db.APIKeyKind](ids[i]))(b.t)).Exec(b.ctx); err != nil {
				b.t.Fatal(err)
			}
		} else if err != nil {
			b.t.Fatal(err)
		}
	}
	if refused != 1 {
		b.t.Errorf("%d of two revocations were refused, want 1", refused)
	}
}
