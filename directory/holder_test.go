package directory_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"roster/db"
	"roster/db/dbtest"
	"roster/db/list"
	"roster/directory"
)

// asked keeps the last statement.
type asked struct {
	text string
	args []any
}

func (a *asked) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	a.text, a.args = data.SQL, data.Args
	return ctx
}

func (*asked) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// literal writes an argument, which is an id, a list of them, or a text.
func literal(value any) string {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Slice:
		ids := make([]string, v.Len())
		for i := range ids {
			ids[i] = strings.Trim(literal(v.Index(i).Interface()), "'")
		}
		return "'{" + strings.Join(ids, ",") + "}'"
	case reflect.Array:
		return "'" + v.Convert(reflect.TypeFor[uuid.UUID]()).Interface().(uuid.UUID).String() + "'"
	}
	return "'" + fmt.Sprint(value) + "'"
}

var touched = regexp.MustCompile(`Buffers: shared hit=(\d+)`)

// buffers returns how many pages of the database the statement touches, by the plan
// that a server has for it, and that plan.
func (a *asked) buffers(t *testing.T, conn *pgx.Conn) (int, string) {
	t.Helper()
	values := make([]string, len(a.args))
	for i, arg := range a.args {
		values[i] = literal(arg)
	}
	must(conn.Prepare(t.Context(), "asked", a.text))(t)
	defer func() { _ = conn.Deallocate(context.Background(), "asked") }()
	explain := "explain (analyze, buffers, costs off, timing off) execute asked(" + strings.Join(values, ",") + ")"
	var plan []string
	for range 2 { // the first run reads the catalogue of tables, and from the disk
		plan = must(pgx.CollectRows(must(conn.Query(t.Context(), explain, pgx.QueryExecModeSimpleProtocol))(t), pgx.RowTo[string]))(t)
	}
	text := strings.Join(plan, "\n")
	found := touched.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("the plan is\n%s", text)
	}
	return must(strconv.Atoi(found[1]))(t), text
}

// crowd makes 10,000 members of two organizations, with one of 16 roles each, all
// of which contain "thing:do". Every other one has it by two grants side by side,
// one in a hundred by more than a page has rows. One in ten is suspended. Their ids are
// the same each time: on which pages those with many grants lie decides what a page reads.
func (b *business) crowd() {
	b.t.Helper()
	b.definePermissions("thing:do")
	for i := range 16 {
		b.role(fmt.Sprintf("role-%d", i), permissionRefs("thing:do")...)
	}
	must(0, b.db.InTx(b.ctx, func(ctx context.Context, tx bun.IDB) error {
		for _, text := range []string{
			"set local session_replication_role = replica", // it agrees by construction
			`insert into organizations (id, code, name, name_key, search) select md5('c' || n)::uuid, 'c-' || n, 'C', 'c', '' from generate_series(1, 2) n`,
			`insert into users (id, external_id, external_id_key, name, name_key, search, status)
				select md5('u' || n)::uuid, n, n, 'N', 'n', '', case when n % 10 = 0 then 'SUSPENDED' else 'ACTIVE' end from generate_series(1, 5000) n`,
			`insert into memberships (id, org_id, user_id) select gen_random_uuid(), o.id, u.id from users u join organizations o on o.code in ('c-1', 'c-2')`,
			`insert into membership_roles (org_id, user_id, role_id, id, granted_by) select m.org_id, m.user_id, r.id, gen_random_uuid(), 'system:test'
				from memberships m join users u on u.id = m.user_id join roles r on r.key = 'role-' || u.external_id::int % 16`,
			`insert into membership_roles (org_id, user_id, role_id, id, granted_by, ends_at)
				select g.org_id, g.user_id, g.role_id, gen_random_uuid(), 'system:test', now() + n * interval '1 day'
				from membership_roles g join users u on u.id = g.user_id
				cross join lateral generate_series(1, case when u.external_id::int % 100 = 1 then 60 else u.external_id::int % 2 end) n`,
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}))(b.t)
	must(b.db.ExecContext(b.ctx, "vacuum analyze"))(b.t)
}

// A page of the members who hold what everybody holds, by many roles, touches the
// rows of the page and little else, wherever the page is.
func TestHoldersReadLittle(t *testing.T) {
	defer directory.SetMostMerged(directory.SetMostMerged(32))
	last := new(asked)
	b := newBusiness(t, last)
	b.crowd()
	conn := must(b.db.Connect(t.Context()))(t)
	defer conn.Close(context.Background())
	key, code := "thing:do", "c-1"
	in := &directory.OrganizationRef{Code: &code}
	permission := must(db.SelectOne[db.PermissionID](b.ctx, b.db, "select id from permissions where key = $1", key))(t)
	role := must(db.SelectOne[db.RoleID](b.ctx, b.db, "select id from roles where key = 'role-3'"))(t)
	org := must(db.SelectOne[db.OrganizationID](b.ctx, b.db, "select id from organizations where code = $1", code))(t)
	type lists = []*list.Connection[db.Membership]
	for _, c := range []struct {
		name          string
		members, page int
		read          func(directory.MemberPage) (lists, error)
	}{
		{"holders", 9000, 1500, func(p directory.MemberPage) (lists, error) {
			return b.PermissionHolders(b.ctx, []db.PermissionID{*permission}, nil, p)
		}},
		{"holders in one", 4500, 1500, func(p directory.MemberPage) (lists, error) {
			return b.PermissionHolders(b.ctx, []db.PermissionID{*permission}, in, p)
		}},
		{"members who can", 4500, 1500, func(p directory.MemberPage) (lists, error) {
			return b.Members(b.ctx, []db.OrganizationID{*org}, p, &directory.MemberFilter{Can: &key}, nil)
		}},
		{"members of a role", 626, 300, func(p directory.MemberPage) (lists, error) {
			return b.RoleMembers(b.ctx, []db.RoleID{*role}, nil, p)
		}},
		{"members of a role in one", 313, 300, func(p directory.MemberPage) (lists, error) {
			return b.RoleMembers(b.ctx, []db.RoleID{*role}, in, p)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := func(what string, of asked, most int) {
				t.Helper()
				if n, plan := of.buffers(t, conn); n > most {
					t.Errorf("%s, %s: %d pages were touched\n%s", c.name, what, n, plan)
				}
			}
			pages := 0
			for page := (directory.MemberPage{Page: list.Page{First: new(50)}}); ; pages++ {
				list := must(c.read(page))(t)[0]
				if pages%20 == 1 {
					check("a page", *last, c.page)
				}
				info := list.PageInfo()
				page.After = info.EndCursor
				if !info.HasNextPage {
					if n := 50*pages + len(list.Nodes); n != c.members {
						t.Errorf("%s: %d were read", c.name, n)
					}
					if n := must(list.TotalCount(b.ctx))(t); n != c.members {
						t.Errorf("%s: %d were counted", c.name, n)
					}
					break
				}
			}
			must(c.read(directory.MemberPage{Page: list.Page{Last: new(50)}}))(t)
			check("the last page", *last, c.page)
		})
	}
}

// A cursor of a list of all organizations stands before or behind the members of
// each one.
func TestHoldersBehindACursorOfElsewhere(t *testing.T) {
	t.Parallel()
	b := newBusiness(t)
	b.crowd()
	permission := must(db.SelectOne[db.PermissionID](b.ctx, b.db, "select id from permissions where key = 'thing:do'"))(t)
	read := func(in *directory.OrganizationRef, page list.Page) *list.Connection[db.Membership] {
		return must(b.PermissionHolders(b.ctx, []db.PermissionID{*permission}, in, directory.MemberPage{Page: page}))(t)[0]
	}
	first, last := read(nil, list.Page{First: new(2)}), read(nil, list.Page{Last: new(2)})
	lower, upper := directory.OrganizationRef{ID: new(first.Nodes[0].OrgID.String())}, directory.OrganizationRef{ID: new(last.Nodes[0].OrgID.String())}
	start, end := first.PageInfo().StartCursor, last.PageInfo().EndCursor
	for _, c := range []struct {
		name string
		in   directory.OrganizationRef
		page list.Page
		want []string
	}{
		{"after, same", lower, list.Page{First: new(1), After: start}, memberKeysOf(first)[1:]},
		{"before, same", upper, list.Page{Last: new(1), Before: end}, memberKeysOf(last)[:1]},
		{"after, lower", upper, list.Page{Last: new(2), After: start}, memberKeysOf(last)},
		{"before, upper", lower, list.Page{First: new(2), Before: end}, memberKeysOf(first)},
		{"after, upper", lower, list.Page{First: new(2), After: end}, []string{}},
		{"before, lower", upper, list.Page{Last: new(2), Before: start}, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := memberKeysOf(read(&c.in, c.page)); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, not %v", c.name, got, c.want)
			}
		})
	}
}

// memberKeysOf returns the users and organizations of a page.
func memberKeysOf(c *list.Connection[db.Membership]) []string {
	places := make([]string, len(c.Nodes))
	for i, m := range c.Nodes {
		places[i] = uuid.UUID(m.OrgID).String() + " " + uuid.UUID(m.UserID).String()
	}
	return places
}

// Members that are counted by what they can do are counted alike in every order, and
// without the users that a page is sorted by.
func TestCountOfWhoCanInAnOrder(t *testing.T) {
	t.Parallel()
	statements := &dbtest.Statements{}
	b := newBusiness(t, statements)
	acme := b.organization("acme")
	b.definePermissions("area:read")
	b.role("worker", permissionRefs("area:read")...)
	for i := range 5 {
		name := fmt.Sprintf("user-%d", i)
		b.user(name, acme)
		if i > 0 {
			must(0, b.grantRole(name, "acme", "worker"))(t)
		}
	}
	must(b.SuspendUser(b.ctx, directory.UserActionInput{User: directory.UserRef{Username: new("user-4")}}))(t)
	orgs, key := []db.OrganizationID{acme.ID}, "area:read"
	var texts []string
	for _, by := range []*directory.MemberOrder{nil, {Field: "NAME"}, {Field: "EMAIL"}, {Field: "JOINED_AT"}} {
		page := must(b.Members(b.ctx, orgs, directory.MemberPage{}, &directory.MemberFilter{Can: &key}, by))(t)[0]
		statements.Take()
		if n := must(page.TotalCount(b.ctx))(t); n != 3 || len(page.Nodes) != 3 {
			t.Errorf("%v: %d members are counted, and %d listed", by, n, len(page.Nodes))
		}
		texts = append(texts, fmt.Sprint(statements.Take()))
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("counted by\n%s\nand by\n%s", text, texts[0])
		}
	}
}
