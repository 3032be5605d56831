package access

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/google/uuid"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
)

// million is the number of members in the cache of the large benchmarks.
const million = 1_000_000

// bench is an engine with 200 permissions, and 20 roles that contain 25 of them each.
type bench struct {
	*Engine
	roles       []db.RoleID
	permissions []db.Permission
	// hot are the members in the cache.
	hot []MemberKey
}

func newBench(b *testing.B, entries int) *bench {
	b.Helper()
	database := dbtest.New(b)
	for _, text := range []string{
		`insert into permissions (id, key, name) select gen_random_uuid(), 'p:' || n, 'p' from generate_series(1, 200) n`,
		`insert into roles (id, key, name) select gen_random_uuid(), 'r' || n, 'r' from generate_series(1, 20) n`,
		`insert into role_permissions (role_id, permission_id, granted_by)
			select r.id, p.id, 'system:bench' from roles r cross join lateral (select id from permissions order by md5(r.key || key) limit 25) p`,
	} {
		if _, err := database.NewRaw(text).Exec(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	e := &bench{Engine: NewEngine(database, Options{Entries: entries, Staleness: time.Hour, Log: slog.New(slog.DiscardHandler)})}
	feed := changes.NewFollower(database, slog.New(slog.DiscardHandler), changes.FollowerOptions{Reset: e.Reset}, e.Apply)
	if err := feed.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(feed.Close)
	e.Follow(feed)
	for len(e.snapshot.Load().Roles) == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, r := range e.snapshot.Load().Roles {
		e.roles = append(e.roles, r.ID)
	}
	for _, p := range e.snapshot.Load().Permissions {
		e.permissions = append(e.permissions, *p)
	}
	return e
}

// remember puts n members into the cache, each with 2 roles and 1 direct permission, as
// reading them would.
func (e *bench) remember(n int) {
	e.hot = make([]MemberKey, n)
	organizations := make([]db.OrganizationID, 200)
	for i := range organizations {
		organizations[i] = db.NewID[db.OrganizationKind]()
	}
	for i := range e.hot {
		e.hot[i] = MemberKey{db.NewID[db.UserKind](), organizations[rand.IntN(len(organizations))]}
	}
	for _, m := range e.hot {
		entry := e.NewEntitlements([]db.RoleID{e.roles[rand.IntN(20)], e.roles[rand.IntN(20)]}, []db.PermissionID{e.permissions[rand.IntN(200)].ID})
		e.members.keep(m, *entry, e.epoch.Load(), uuid.UUID(m.User), uuid.UUID(m.Organization))
	}
}

func (e *bench) check(b *testing.B, members []MemberKey) {
	b.Helper()
	b.ReportAllocs()
	unknown := 0
	for i := 0; b.Loop(); i++ {
		if _, known := e.Check(members[i%len(members)], e.permissions[i%200].Key); !known {
			unknown++
		}
	}
	if unknown*1000 > b.N {
		b.Errorf("%d of %d were not in memory", unknown, b.N)
	}
}

// BenchmarkCheck checks one member over and over, and then a million of them in random
// order, which measures the processor's caches.
func BenchmarkCheck(b *testing.B) {
	e := newBench(b, 2*million)
	e.remember(million)
	b.Run("hot", func(b *testing.B) { e.check(b, e.hot[:1]) })
	b.Run("random", func(b *testing.B) {
		shuffled := make([]MemberKey, len(e.hot))
		for i, at := range rand.Perm(len(e.hot)) {
			shuffled[i] = e.hot[at]
		}
		e.check(b, shuffled)
	})
	b.Run("random on all processors", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				e.Check(e.hot[rand.IntN(len(e.hot))], e.permissions[rand.IntN(200)].Key)
			}
		})
	})
}

// BenchmarkMemory reports the bytes that a member in the cache takes, all in all and
// beyond what it is entitled to, and the bytes that a name takes.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		e := newBench(b, million)
		before := heap()
		e.remember(million)
		members := e.hot
		e.hot = nil
		remembered := 0
		for i := range members {
			if e.cached(&members[i], e.now()) != nil {
				remembered++
			}
		}
		members = nil // so that the heap does not hold them any more
		all := float64(heap()-before) / float64(remembered)
		const numbers = 16 // 3 of 4 bytes each, rounded up to a size class
		b.ReportMetric(all, "B/entry")
		b.ReportMetric(all-float64(unsafe.Sizeof(Entitlements{}))-numbers, "B-over/entry")
		b.ReportMetric(float64(remembered), "entries")
		before = heap()
		for i := range million {
			id := uuid.UUID(db.NewID[db.UserKind]())
			e.names.keep(NewName("users", "email_key", strconv.Itoa(i)), id, e.Epoch(), id)
		}
		b.ReportMetric(float64(heap()-before)/float64(e.names.size()), "B/name")
		b.ReportMetric(0, "ns/op")
		runtime.KeepAlive(members)
		runtime.KeepAlive(e)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRoleEdit measures how long it takes from a change of a role until checks see
// it: as long with one holder as with a million.
func BenchmarkRoleEdit(b *testing.B) {
	for _, members := range []int{1, million} {
		b.Run(fmt.Sprintf("%d members", members), func(b *testing.B) {
			e := newBench(b, 2*million)
			e.remember(members)
			edit := []db.Change{{Subject: e.roles[0].String(), Action: "role.permissions.added"}}
			for b.Loop() {
				e.Apply(context.Background(), edit)
				e.Apply(context.Background(), nil)
				if _, known := e.Check(e.hot[rand.IntN(members)], e.permissions[0].Key); !known {
					b.Fatal("it is no longer in memory")
				}
			}
		})
	}
}
