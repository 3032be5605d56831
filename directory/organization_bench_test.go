package directory_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
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
		`insert into users (id, external_id, external_id_key, name, name_key, search) select gen_random_uuid(), n, n, 'N' || n, 'n' || n, 'n' || n || ' x' from generate_series(1, ` + fmt.Sprint(users) + `) n`,
		`insert into memberships (id, org_id, user_id) select gen_random_uuid(), o.id, u.id from users u join organizations o on o.code in ('crowd', '` + at + `')`,
		`insert into membership_roles (org_id, user_id, role_id, id, granted_by, starts_at, granted_at)
			select m.org_id, m.user_id, r.id, gen_random_uuid(), 'system:test', now() - interval '1 day', now() - interval '1 day'
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
				b.StartTimer()
				must(t.DeleteOrganization(t.ctx, directory.OrganizationActionInput{Organization: orgCode("crowd")}))(b)
				b.ReportMetric(float64(highest()), "MiB")
			}
		})
	}
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
