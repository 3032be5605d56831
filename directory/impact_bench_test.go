package directory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	"roster/db/list"
	"roster/directory"
	"roster/impact"
)

// One role, held by 100,000 members of 200 organizations who have two more roles
// and, every fifth of them, one permission on top: measures the impact of changing
// it, page and count of both lists.
func BenchmarkImpactOnManyMembers(b *testing.B) {
	t := newBusiness(b)
	for i := range 200 {
		t.definePermissions(fmt.Sprintf("area:%03d", i))
	}
	for i := range 40 {
		keys := make([]string, 25)
		for n := range keys {
			keys[n] = fmt.Sprintf("area:%03d", (i*5+n)%200)
		}
		t.role(fmt.Sprintf("role-%d", i), permissionRefs(keys...)...)
	}
	// Without triggers and foreign keys: it agrees by construction.
	seed := []string{
		"set local session_replication_role = replica",
		`insert into organizations (id, code, name, name_key, search) select gen_random_uuid(), 'c-' || n, 'C', 'c', '' from generate_series(1, 200) n`,
		`insert into users (id, external_id, external_id_key, name, name_key, search) select gen_random_uuid(), n, n, 'N', 'n', '' from generate_series(1, 100000) n`,
		`insert into memberships (id, org_id, user_id) select gen_random_uuid(), o.id, u.id from users u join organizations o on o.code = 'c-' || (u.external_id::int % 200 + 1)`,
		`insert into membership_roles (org_id, user_id, role_id, id, granted_by, starts_at, granted_at)
			select m.org_id, m.user_id, r.id, gen_random_uuid(), 'system:test', now() - interval '1 day', now() - interval '1 day'
			from memberships m join users u on u.id = m.user_id
			join roles r on r.key in ('role-0', 'role-' || (u.external_id::int % 13 + 1), 'role-' || (u.external_id::int % 26 + 14))`,
		`insert into membership_permissions (org_id, user_id, permission_id, id, granted_by, starts_at, granted_at)
			select m.org_id, m.user_id, p.id, gen_random_uuid(), 'system:test', now() - interval '1 day', now() - interval '1 day'
			from memberships m join users u on u.id = m.user_id and u.external_id::int % 5 = 0
			join permissions p on p.key = 'area:' || lpad((u.external_id::int % 200)::text, 3, '0')`,
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
	defer impact.SetBatch(impact.SetBatch(1000))
	for _, c := range []struct {
		name  string
		write func(ctx context.Context) error
	}{
		{"one added", func(ctx context.Context) error {
			return noResult(t.AddRolePermissions(ctx, contents("role-0", "area:120")))
		}},
		{"ten removed", func(ctx context.Context) error {
			return noResult(t.RemoveRolePermissions(ctx, contents("role-0", "area:000", "area:001", "area:002", "area:003", "area:004",
				"area:005", "area:006", "area:007", "area:008", "area:009")))
		}},
		{"organization suspended", func(ctx context.Context) error {
			return noResult(t.SuspendOrganization(ctx, directory.OrganizationActionInput{Organization: orgCode("c-1")}))
		}},
		{"role deleted", func(ctx context.Context) error {
			return noResult(t.DeleteRole(ctx, directory.RoleActionInput{Role: roleRef("role-0")}))
		}},
	} {
		for part, read := range []func(ctx context.Context) error{
			func(context.Context) error { return nil },
			func(ctx context.Context) error { return readImpact(ctx, t, false) },
			func(ctx context.Context) error { return readImpact(ctx, t, true) },
		} {
			// Undone writes leave dead rows, which a server would clear away in time.
			must(t.db.ExecContext(b.Context(), "vacuum membership_roles"))(b)
			b.Run(c.name+[]string{"", " with a page of both lists", " with their counts too"}[part], func(b *testing.B) {
				undone := errors.New("undone")
				for b.Loop() {
					err := t.Writer.Atomically(t.ctx, func(ctx context.Context) error {
						return errors.Join(c.write(ctx), read(ctx), undone)
					})
					if !errors.Is(err, undone) || err.Error() != undone.Error() {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func readImpact(ctx context.Context, b *business, counts bool) error {
	of := b.Impact(ctx)
	gained, err := of.Gained(ctx, list.Page{})
	if err != nil {
		return err
	}
	lost, err := of.Lost(ctx, list.Page{})
	if err != nil || !counts {
		return err
	}
	return errors.Join(noResult(gained.TotalCount(ctx)), noResult(lost.TotalCount(ctx)))
}
