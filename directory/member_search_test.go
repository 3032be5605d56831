package directory_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/list"
	"roster/directory"
)

// A search inside a small organization reads its members, however many users elsewhere
// have the word; a search for a rare word in a large one reads those who have it.
func TestSearchInAnOrganizationReadsLittle(t *testing.T) {
	t.Parallel()
	last := new(asked)
	b := newBusiness(t, last)
	must(0, b.db.InTx(b.ctx, func(ctx context.Context, tx bun.IDB) error {
		for _, text := range []string{
			"set local session_replication_role = replica", // it agrees by construction
			`insert into organizations (id, code, name, name_key, search) select gen_random_uuid(), code, 'C', 'c', '' from unnest(array['large', 'small']) code`,
			`insert into users (id, external_id, external_id_key, name, name_key, search)
				select gen_random_uuid(), n, n, 'N', 'n', E'\ncommon person' || n || case when n % 10000 = 9 then ' rare' else '' end from generate_series(1, 20000) n`,
			`insert into memberships (id, org_id, user_id) select gen_random_uuid(), o.id, u.id from users u
				join organizations o on o.code = case when u.external_id::int <= 50 then 'small' else 'large' end`,
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}))(t)
	must(b.db.ExecContext(b.ctx, "vacuum analyze"))(t)
	conn := must(b.db.Connect(t.Context()))(t)
	defer conn.Close(context.Background())
	must(conn.Exec(t.Context(), "set plan_cache_mode = force_custom_plan"))(t) // searches are planned for their words
	for _, c := range []struct {
		org, term   string
		found, most int
	}{{"small", "common", 50, 400}, {"small", "common person1", 11, 400}, {"small", "rare", 1, 400}, {"large", "rare", 1, 400}} {
		org := must(db.SelectOne[db.OrganizationID](b.ctx, b.db, "select id from organizations where code = $1", c.org))(t)
		for name, by := range map[string]*directory.MemberOrder{"by joining": nil, "by name": {Field: "NAME"}} {
			t.Run(fmt.Sprintf("%s in %s, %s", c.term, c.org, name), func(t *testing.T) {
				found := must(b.Members(b.ctx, []db.OrganizationID{*org}, directory.MemberPage{Page: list.Page{First: new(100)}}, &directory.MemberFilter{Search: &c.term}, by))(t)[0]
				if len(found.Nodes) != c.found {
					t.Errorf("%d members are found, want %d", len(found.Nodes), c.found)
				}
				check := func(what string, of asked) {
					if n, plan := of.buffers(t, conn); n > c.most {
						t.Errorf("%s: %d pages were touched\n%s", what, n, plan)
					}
				}
				check("the page", *last)
				must(found.TotalCount(b.ctx))(t)
				check("the count", *last)
			})
		}
	}
}
