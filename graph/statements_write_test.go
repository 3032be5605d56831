package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// crowdAround makes n of everything that the objects of graphtest.SmallBusiness can have
// many of: members, grants, roles with a permission, organizations with a default role, and
// API keys, each of which answers for another one. The argument is n.
const crowdAround = `do $$
declare
	n constant integer := %d;
	acme constant uuid := (select id from organizations where code = 'acme');
	ada constant uuid := (select id from users where email_key = 'ada@example.com');
	clerk constant uuid := (select id from roles where key = 'clerk');
	reading constant uuid := (select id from permissions where key = 'invoices:read');
	other constant uuid := (select id from api_keys where name = 'other');
begin
	create temporary table crowd on commit drop as
		select i, gen_random_uuid() as person, gen_random_uuid() as org, gen_random_uuid() as parent, gen_random_uuid() as child from generate_series(1, n) i;
	insert into users (id, external_id, external_id_key, name, name_key, search) select person, 'x' || i, 'x' || i, 'N' || i, 'n' || i, 'n' || i from crowd;
	insert into organizations (id, code, name, name_key, search) select org, 'c' || i, 'C' || i, 'c' || i, 'c' || i from crowd;
	insert into organization_default_roles (org_id, role_id) select org, clerk from crowd;
	insert into roles (id, key, name) select gen_random_uuid(), 'r' || i, 'R' || i from crowd;
	insert into role_permissions (role_id, permission_id, granted_by) select id, reading, 'system:test' from roles where key ~ '^r[0-9]+$' or key like 'e%%';
	insert into memberships (id, org_id, user_id) select gen_random_uuid(), acme, person from crowd;
	insert into memberships (id, org_id, user_id) select gen_random_uuid(), org, ada from crowd;
	insert into memberships (id, org_id, user_id) select gen_random_uuid(), org, person from crowd where i %% 3 = 0;
	insert into membership_roles (id, org_id, user_id, role_id, granted_by, reason) select gen_random_uuid(), org_id, user_id, clerk, 'system:test', 'why'
		from memberships where not (user_id = ada and org_id = acme) and org_id <> (select id from organizations where is_default);
	insert into membership_permissions (id, org_id, user_id, permission_id, granted_by) select gen_random_uuid(), org_id, user_id, reading, 'system:test' from membership_roles;
	insert into api_keys (id, name, prefix, hash, org_id, user_id, created_by, responsible_id)
		select parent, 'parent', 'rk_' || i, sha256(parent::text::bytea), acme, person, 'system:test', other from crowd where i %% 2 = 1
		union all select child, 'child', 'rk_' || i, sha256(child::text::bytea), org, ada, 'system:test', parent from crowd where i %% 2 = 1;
	insert into api_key_permissions (api_key_id, permission_id) select id, reading from api_keys where name in ('parent', 'child');
	insert into invitations (id, org_id, email, email_key, role_ids, default_roles, hash, invited_by, created_at, expires_at)
		select child, acme, 'i' || i, 'i' || i, '{}'::uuid[], true, ''::bytea, 'system:test', now(), now() + interval '1 day' from crowd where i %% 5 = 0
		union all select parent, org, 'ada@example.com', 'ada@example.com', '{}', true, '', 'system:test', now(), now() + interval '1 day' from crowd;
	insert into identities (provider, subject, user_id) select 'crowd', i, ada from crowd;
	insert into sessions (user_id, id, hash, methods, created_at, last_used_at, expires_at) select ada, child, 'x', '{code}', now(), now(), now() + interval '1 day' from crowd;
end $$`

// A mutation takes as many statements for hundreds of rows that fall with what it names
// as for a few. Every one of the schema is tried, with its impact.
func TestStatementsOfMutationsDoNotGrow(t *testing.T) {
	t.Parallel()
	few, many := newCrowd(t, 3), newCrowd(t, 300)
	for _, f := range ownFields(few.schema.Mutation) {
		t.Run(f.Name, func(t *testing.T) {
			want := few.statements(t, f)
			got := many.statements(t, f)
			for try := 0; try < 20 && len(got) > len(want); try++ { // now and then, one finds out what is new
				got = many.statements(t, f)
			}
			if len(got) > len(want) {
				t.Errorf("%d statements, and %d for a hundred times as many rows:\n%s", len(want), len(got), strings.Join(got, "\n"))
			}
		})
	}
}

// crowd is a business with crowdAround.
type crowd struct {
	*caller
	business *graphtest.Server
	person   *signedIn
	traced   *dbtest.Statements
}

func newCrowd(t *testing.T, n int) *crowd {
	t.Helper()
	traced := &dbtest.Statements{}
	b := graphtest.New(t, traced)
	c := newCaller(t, b)
	b.Execute(t, fmt.Sprintf(crowdAround, n))
	b.Execute(t, "analyze")
	return &crowd{c, b, newSignedIn(t, b, "ada@example.com"), traced}
}

// statements returns the statements of a dry run of the mutation, with its impact. What
// people do about themselves is done by one, and what has no dry run is done.
func (c *crowd) statements(t *testing.T, f *ast.FieldDefinition) []string {
	t.Helper()
	key := c.business.Key
	if _, own := ownCases[f.Name]; own {
		c.others = c.person.ready(t, f.Name)
	}
	call, own := c.call("Mutation", f), requirement(f) == ""
	if own {
		key = c.person.session
	}
	if !own && c.schema.Types[f.Type.Name()].Fields.ForName("impact") != nil {
		call = strings.TrimSuffix(call, "}") + "impact { gained { totalCount } lost { totalCount } keys { id } } }"
	}
	if subject, restores := strings.CutPrefix(f.Name, "restore"); restores { // it does nothing to what is active
		call = c.call("Mutation", c.schema.Mutation.Fields.ForName("suspend"+subject)) + " " + call
	}
	graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return c.business.Directory.Stats().Lag < 300*time.Millisecond })
	c.traced.Take()
	if a := c.business.As(t, key, operationOf("Mutation", f)+" { "+call+" }", nil); a.Codes() != "" {
		t.Errorf("%s", a.Body)
	}
	return ofRequest(c.traced.Take())
}
