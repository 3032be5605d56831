package directory_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"roster/directory"
)

// seedCrowd makes users who belong to the organization crowd with one role each, and,
// if at is not empty, to the organization that has this code as well.
func seedCrowd(b testing.TB, t *business, users int, at string) {
	t.definePermissions("area:read")
	t.role("role", permissionRefs("area:read")...)
	t.organization("crowd")
	t.organization("elsewhere")
	seed := []string{
		// Without triggers and foreign keys: it agrees by construction.
		"set local session_replication_role = replica",
		"set local statement_timeout = 0",
		// Ids are in the order of time, as the program makes them (RFC 9562, 5.7).
		`create function pg_temp.v7(n int) returns uuid volatile return (lpad(to_hex(1790000000000 + n), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid`,
		`insert into users (id, external_id, external_id_key, name, name_key, search) select pg_temp.v7(n), n, n, 'N' || n, 'n' || n, 'n' || n || ' x' from generate_series(1, ` + fmt.Sprint(users) + `) n`,
		`insert into memberships (id, org_id, user_id) select pg_temp.v7(u.external_id::int), o.id, u.id from users u join organizations o on o.code in ('crowd', '` + at + `')`,
		`insert into membership_roles (org_id, user_id, role_id, id, granted_by, starts_at, granted_at)
			select m.org_id, m.user_id, r.id, pg_temp.v7(1), 'system:test', now() - interval '1 day', now() - interval '1 day'
			from memberships m join organizations o on o.id = m.org_id and o.code = 'crowd' join roles r on r.key = 'role'`,
		"analyze",
	}
	must(0, t.db.InTx(b.Context(), func(ctx context.Context, tx bun.IDB) error {
		for _, text := range seed {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}))(b)
}

// An organization of 250,000 members is deleted: those who belong to another one
// too, or to none and so move to the default one.
func BenchmarkDeletingALargeOrganization(b *testing.B) {
	defer directory.SetLeaving(directory.SetLeaving(5000)) // as in the program
	for name, at := range map[string]string{"with others": "elsewhere", "the only one": ""} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				t := newBusiness(b)
				seedCrowd(b, t, 250_000, at)
				runtime.GC()
				highest := watchMemory(b)
				before := postgresTime(b, t)
				b.StartTimer()
				must(t.DeleteOrganization(t.ctx, directory.OrganizationActionInput{Organization: orgCode("crowd")}))(b)
				b.StopTimer()
				b.ReportMetric(float64(highest()), "MiB")
				b.ReportMetric((postgresTime(b, t) - before).Seconds(), "postgres-s/op")
				b.StartTimer()
			}
		})
	}
}

// postgresTime returns the processor time that PostgreSQL has taken so far.
func postgresTime(b testing.TB, t *business) time.Duration {
	const ticksPerSecond = 100
	stat := func(pid string) (fields []string) {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return nil // it has ended
		}
		return strings.Fields(string(text[strings.LastIndex(string(text), ")")+2:]))
	}
	sum := func(fields []string) (ticks int) {
		for _, field := range fields {
			ticks += must(strconv.Atoi(field))(b)
		}
		return ticks
	}
	var backend string
	must(0, t.db.QueryRowContext(b.Context(), "select pg_backend_pid()").Scan(&backend))(b)
	postmaster := stat(backend)[1]
	ticks := sum(stat(postmaster)[11:15])
	for _, child := range strings.Fields(string(must(os.ReadFile("/proc/" + postmaster + "/task/" + postmaster + "/children"))(b))) {
		if fields := stat(child); fields != nil {
			ticks += sum(fields[11:13])
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// watchMemory returns a function for the most memory that the process had resident
// since, in MiB.
func watchMemory(b testing.TB) func() int {
	resident := func() (pages int) {
		text := must(os.ReadFile("/proc/self/statm"))(b)
		_, err := fmt.Sscan(strings.Fields(string(text))[1], &pages)
		must(0, err)(b)
		return pages * os.Getpagesize() >> 20
	}
	most, end, ended := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			most = max(most, resident())
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int { close(end); <-ended; return most }
}
