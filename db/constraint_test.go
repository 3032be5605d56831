package db_test

import (
	"context"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/problem"
)

// A transaction that leaves a user without an organization fails when it commits,
// whatever it did before; so does one of two that each take one of two memberships.
func TestUsersHaveOrganization(t *testing.T) {
	t.Parallel()
	d := dbtest.New(t)
	run := func(texts ...string) error {
		return d.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
			for _, text := range texts {
				if _, err := tx.ExecContext(ctx, text); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const (
		ada    = "insert into users (id, name, name_key, search) values ('0198c0de-0000-7000-8000-000000000001', 'Ada', 'ada', 'ada')"
		root   = "insert into memberships (id, org_id, user_id) values (gen_random_uuid(), '00000000-0000-7000-8000-000000000000', '0198c0de-0000-7000-8000-000000000001')"
		first  = "insert into memberships (id, org_id, user_id) select gen_random_uuid(), id, '0198c0de-0000-7000-8000-000000000001' from organizations where is_default"
		orgs   = "insert into organizations (id, name, name_key, search, code, is_default) values ('00000000-0000-7000-8000-000000000000', 'Root', 'root', '', 'root', false), (gen_random_uuid(), 'Home', 'home', 'home', 'home', true)"
		other  = "insert into organizations (id, name, name_key, search, code) values ('0198c0de-0000-7000-8000-00000000000a', 'Other', 'other', 'other', 'other')"
		second = "insert into memberships (id, org_id, user_id) values (gen_random_uuid(), '0198c0de-0000-7000-8000-00000000000a', '0198c0de-0000-7000-8000-000000000001')"
		leave  = "delete from memberships where org_id = (select id from organizations where is_default)"
		leave2 = "delete from memberships where org_id = '0198c0de-0000-7000-8000-00000000000a'"
		erase  = "update users set name = 'Deleted user', name_key = '', search = '', deleted_at = now()"
	)
	must(t, run(orgs))
	for _, step := range []struct {
		name    string
		refused bool
		texts   []string
	}{
		{"no organization", true, []string{ada}},
		{"the business alone", true, []string{ada, root}},
		{"came and went", true, []string{ada, first, leave}},
		{"a tombstone", false, []string{ada, erase, "delete from users"}},
		{"joins later", false, []string{ada, root, first}},
		{"the last is left", true, []string{leave}},
		{"left and joined again", false, []string{leave, first}},
		{"another one", false, []string{other, second, leave, first}},
	} {
		t.Run(step.name, func(t *testing.T) {
			err := run(step.texts...)
			if refused := problem.Is(err, problem.LastOrganization); refused != step.refused || err != nil && !refused {
				t.Fatal(err)
			}
		})
	}

	results := make([]error, 2)
	var left, all sync.WaitGroup
	left.Add(2)
	for i, text := range []string{leave, leave2} {
		all.Go(func() {
			results[i] = d.InTx(t.Context(), func(ctx context.Context, tx bun.IDB) error {
				_, err := tx.ExecContext(ctx, text)
				left.Done()
				left.Wait() // neither sees what the other has done
				return err
			})
		})
	}
	all.Wait()
	if refused := problem.Is(results[0], problem.LastOrganization); refused == problem.Is(results[1], problem.LastOrganization) || (results[0] == nil) == (results[1] == nil) {
		t.Errorf("of two that leave the last two: %v, %v; want one LAST_ORGANIZATION", results[0], results[1])
	}
	if n, err := db.SelectOne[int64](t.Context(), d, "select count(*) from memberships where org_id <> $1", db.Root); err != nil || *n != 1 {
		t.Errorf("%v memberships, %v", *n, err)
	}
}
