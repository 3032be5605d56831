package access_test

import (
	"testing"
	"time"

	"roster/db/dbtest"
)

// A server of a later version may change entitlements by an action that this version
// does not know: then no entry of before counts.
func TestChangesOfAnUnknownKindInvalidateEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.do(w.ctx, operation{kind: grantPermission})
	for hits := w.near.Stats().Hits; w.near.Stats().Hits == hits && w.ctx.Err() == nil; {
		w.check(w.ctx, operation{})
		sleep(w.ctx, 5*time.Millisecond)
	}
	if _, err := w.db.ExecContext(w.ctx, `with gone as (update membership_permissions set live = false, revoked_at = now(), revoked_by = 'system:later')
		insert into changes (id, actor, action, subject) values (gen_random_uuid(), 'system:later', 'team.left', 'team_1')`); err != nil {
		t.Fatal(err)
	}
	for !w.await(w.ctx, w.near) {
		sleep(w.ctx, 10*time.Millisecond)
	}
	w.check(w.ctx, operation{})
	if last := w.history[len(w.history)-1]; last.allowed {
		t.Error("an entry of before still counts")
	}
}

// While the feed is cut, memory is not used, and Stats counts that.
func TestStaleReadsAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.warm(w.ctx, operation{far: true})
	w.proxy.Set(dbtest.Weather{Stalled: true}, dbtest.Weather{})
	sleep(w.ctx, 2*w.staleness)
	before := w.far.Stats()
	w.check(w.ctx, operation{far: true})
	if after := w.far.Stats(); after.Stale != before.Stale+1 || after.Hits != before.Hits || after.Lag < w.staleness {
		t.Errorf("from %+v to %+v", before, after)
	}
	w.proxy.Set(dbtest.Weather{}, dbtest.Weather{}) // or its connections would close late
}
