package changes_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
)

// BenchmarkWrites measures the throughput of recorded writes, also as a share of the
// throughput without a record: 16 writers grant permissions with the statements of the
// directory, in turns with and without a change in the log.
func BenchmarkWrites(b *testing.B) {
	d := dbtest.New(b)
	const members = 1000
	if _, err := d.NewRaw(`create function int_id(n int) returns uuid language sql immutable as $$ select lpad(to_hex(n), 32, '0')::uuid $$;
		begin;
		insert into organizations (id, code, name, name_key, search, is_default) values (int_id(0), 'o', 'o', 'o', '', true);
		insert into users (id, name, name_key, search) select int_id(n), 'u', 'u', '' from generate_series(1, ?0) n;
		insert into memberships (id, org_id, user_id) select int_id(n), int_id(0), int_id(n) from generate_series(1, ?0) n;
		insert into permissions (id, key, name) select int_id(n), 'p' || n, 'p' from generate_series(1, ?0) n;
		commit`, members).Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	feed := changes.NewFollower(d, slog.New(slog.DiscardHandler), changes.FollowerOptions{Reset: func() {}},
		func(context.Context, []db.Change) bool { return false })
	if err := feed.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer feed.Close()

	writer := changes.NewWriter(d, feed, slog.New(slog.DiscardHandler), changes.Hooks{
		Check: func(context.Context, *changes.Write) error { return nil }, Committed: func([]db.Change) {},
		Look: func(ctx context.Context, _ *db.Batch) func() (context.Context, error) {
			return func() (context.Context, error) { return ctx, nil }
		}, Parties: func(context.Context) []string { return nil },
	})
	var grants atomic.Int64
	grant := func(logged bool) error {
		n := grants.Add(1)
		user, permission := intID(n%members+1), intID(n/members%members+1)
		return writer.Write(context.Background(), "system:bench", func(ctx context.Context, w *changes.Write) error {
			for _, text := range []string{
				"select from organizations where id = ?0 and ?1::uuid is not null and ?2::uuid is not null for share",
				"select from users where id = ?1 and ?2::uuid is not null for no key update",
				"select from memberships where org_id = ?0 and user_id = ?1 and ?2::uuid is not null for share",
				"select from permissions where id = ?2 for share",
				"select from membership_permissions where org_id = ?0 and user_id = ?1 and permission_id = ?2 and live for update",
				"insert into membership_permissions (id, org_id, user_id, permission_id, granted_by) values (gen_random_uuid(), ?0, ?1, ?2, 'system:bench')",
			} {
				if _, err := w.NewRaw(text, intID(0), user, permission).Exec(ctx); err != nil {
					return err
				}
			}
			if !logged {
				return nil
			}
			org := db.OrganizationID(intID(0))
			return w.Record(changes.PermissionGranted, db.MembershipID(user).String(), &org, nil, changes.Values{
				"userId": db.UserID(user), "permission": "p", "startsAt": w.At, "endsAt": nil, "reason": nil,
			})
		})
	}
	turn := func(logged bool) float64 {
		const writers, each = 16, 60
		began := time.Now()
		var all errgroup.Group
		for range writers {
			all.Go(func() error {
				for range each {
					if err := grant(logged); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := all.Wait(); err != nil {
			b.Fatal(err)
		}
		return writers * each / time.Since(began).Seconds()
	}
	turn(true)
	var ratios, rates []float64
	for b.Loop() {
		without, with := turn(false), turn(true)
		ratios, rates = append(ratios, with/without), append(rates, with)
	}
	slices.Sort(ratios)
	slices.Sort(rates)
	b.ReportMetric(ratios[len(ratios)/2], "of-unlogged")
	b.ReportMetric(rates[len(rates)/2], "writes/s")
	b.ReportMetric(0, "ns/op")
}

func intID(n int64) uuid.UUID {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}
