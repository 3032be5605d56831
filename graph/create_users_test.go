package graph_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"roster/db/dbtest"
	"roster/graph/graphtest"
)

const (
	createOne  = `mutation($input: CreateUserInput!) { createUser(input: $input) { user { ...all } } } ` + createdUser
	createMany = `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { ...all } } } ` + createdUser

	createdUser = `fragment all on User { email emailVerified username phone givenName familyName name pictureUrl externalId status properties version
		memberships(first: 10) { nodes { organization { code } roles { key } } } }`
)

// createUsers of one user answers, refuses and records what createUser does.
func TestCreateUsersIsLikeCreateUser(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation { createUser(input: {email: "there@example.com", username: "there", externalId: "there"}) { user { id } } }`)
	keys := map[string]string{
		"":           b.Key,
		"users":      b.Holding(t, "", "roster:users:write", "roster:users:read", "roster:organizations:read", "roster:members:read", "roster:roles:read"),
		"members":    b.Holding(t, "", "roster:users:write", "roster:users:read", "roster:members:read", "roster:members:write", "roster:organizations:read", "roster:roles:read", "invoices:read"),
		"read":       b.Holding(t, "", "roster:users:read", "roster:members:read", "roster:organizations:read", "roster:roles:read"),
		"everything": b.Holding(t, "", "roster:users:write", "roster:users:read", "roster:members:read", "roster:members:write", "roster:organizations:read", "roster:roles:read", "roster:grants:any"),
	}
	acme, globex, home, clerk, writer := object{"code": "acme"}, object{"code": "globex"}, object{"code": "default"}, object{"key": "clerk"}, object{"key": "writer"}
	hash := "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	for i, c := range []struct {
		name, key string
		input     object
		codes     string
	}{
		{"an address", "", object{"email": "A#@Example.com"}, ""},
		{"a username alone", "", object{"username": "U#"}, ""},
		{"a phone alone", "", object{"phone": "+1 202 555 01 #"}, ""},
		{"an external id alone", "", object{"externalId": "X#"}, ""},
		{"all texts", "", object{"email": " a#@example.com ", "username": "u#", "phone": "+12025550#", "givenName": " Ada ", "familyName": "Lovelace", "pictureUrl": "https://a.example/#", "externalId": "x#", "properties": object{"b": 1, "a": []any{"#"}}}, ""},
		{"a hash", "", object{"email": "#@example.com", "passwordHash": hash}, ""},
		{"roles", "", object{"email": "#@example.com", "roles": []any{clerk, writer, clerk}}, ""},
		{"no roles", "", object{"email": "#@example.com", "roles": []any{}}, ""},
		{"organizations", "", object{"email": "#@example.com", "organizations": []any{acme, globex, acme}}, ""},
		{"organizations and roles", "", object{"email": "#@example.com", "organizations": []any{globex, home}, "roles": []any{writer}}, ""},
		{"nulls", "", object{"email": "#@example.com", "username": nil, "organizations": nil, "roles": nil, "properties": nil}, ""},
		{"not one organization", "", object{"email": "#@example.com", "organizations": []any{}}, "INVALID"},
		{"nothing", "", object{"givenName": "Ada#"}, "INVALID"},
		{"empty", "", object{"email": ""}, "INVALID"},
		{"faulty texts", "", object{"email": "no address#", "username": strings.Repeat("u", 2000), "phone": "x", "givenName": strings.Repeat("n", 2000), "pictureUrl": "javascript:1", "externalId": strings.Repeat("x", 2000)}, "INVALID INVALID INVALID INVALID INVALID INVALID"},
		{"faulty properties", "", object{"email": "#@example.com", "properties": []any{}}, "INVALID"},
		{"a malformed hash", "", object{"email": "#@example.com", "passwordHash": "secret"}, "INVALID"},
		{"a hash that is too much", "", object{"email": "#@example.com", "passwordHash": strings.Replace(hash, "$10$", "$31$", 1)}, "INVALID"},
		{"unknown roles", "", object{"email": "#@example.com", "roles": []any{object{"key": "nosuch"}, object{"id": "role_x"}}}, "NOT_FOUND NOT_FOUND"},
		{"unknown organizations", "", object{"email": "#@example.com", "organizations": []any{acme, object{"code": "nosuch"}}}, "NOT_FOUND"},
		{"a reference by two", "", object{"email": "#@example.com", "organizations": []any{object{"code": "acme", "externalId": "x"}}}, "INVALID"},
		{"a reference by nothing", "", object{"email": "#@example.com", "roles": []any{object{}}}, "INVALID"},
		{"an address that is taken", "", object{"email": "There@example.com"}, "CONFLICT"},
		{"a username that is taken", "", object{"email": "#@example.com", "username": "THERE"}, "CONFLICT"},
		{"an external id that is taken", "", object{"externalId": "there"}, "CONFLICT"},
		{"at home by whoever writes users", "users", object{"email": "#@example.com"}, ""},
		{"elsewhere by whoever writes users", "users", object{"email": "#@example.com", "organizations": []any{acme}}, "FORBIDDEN"},
		{"roles by whoever writes users", "users", object{"email": "#@example.com", "roles": []any{clerk}}, "FORBIDDEN"},
		{"what one holds", "members", object{"email": "#@example.com", "organizations": []any{acme, globex}, "roles": []any{clerk}}, ""},
		{"default roles beyond one's own", "members", object{"email": "#@example.com", "organizations": []any{globex}}, ""},
		{"what one does not hold", "members", object{"email": "#@example.com", "organizations": []any{acme}, "roles": []any{writer}}, "ESCALATION"},
		{"a role of Roster", "everything", object{"email": "#@example.com", "organizations": []any{acme}, "roles": []any{object{"key": "roster-administrator"}}}, "ESCALATION"},
		{"what is for all to grant", "everything", object{"email": "#@example.com", "organizations": []any{acme}, "roles": []any{writer}}, ""},
		{"by a reader", "read", object{"email": "#@example.com"}, "FORBIDDEN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// tell runs a document, and returns its answer and what it has recorded, with the
			// number by which the two users differ taken out. Of what the caller must not do,
			// createUser says no field.
			tell := func(number, document, list string, wrap func(object) object) string {
				before := graphtest.Rows[int64](t, b, "select count(*) from changes")[0]
				input := graphtest.Filled(c.input, "#", number).(object)
				a := b.As(t, keys[c.key], document, object{"input": wrap(input)})
				if a.Codes() != c.codes {
					t.Errorf("%s\nwant %q", a.Body, c.codes)
				}
				var told strings.Builder
				for i, fault := range a.Errors {
					field := strings.Replace(a.Field(i), "input.users.0", "input", 1)
					if a.Code(i) == "FORBIDDEN" || a.Code(i) == "ESCALATION" {
						field = ""
					}
					fmt.Fprintln(&told, a.Code(i), field, fault.Message)
				}
				fmt.Fprintln(&told, a.At(list))
				for _, row := range graphtest.Rows[string](t, b, `select action || ' ' || coalesce(o.code, '') || ' ' || coalesce((before - 'id')::text, '') || ' ' || coalesce((after - 'id' - 'userId' - 'grantId' - 'createdAt' - 'updatedAt' - 'joinedAt' - 'startsAt')::text, '')
					from changes left join organizations o on o.id = org_id order by changes.at, org_id nulls first, changes.id offset $1`, before) {
					fmt.Fprintln(&told, row)
				}
				return strings.ReplaceAll(told.String(), number, "#")
			}
			one := tell(fmt.Sprintf("70%02d1", i), createOne, "createUser.user", func(in object) object { return in })
			many := tell(fmt.Sprintf("70%02d2", i), createMany, "createUsers.users.0", func(in object) object { return object{"users": []any{in}} })
			if one != many {
				t.Errorf("createUser:\n%s\ncreateUsers:\n%s", one, many)
			}
		})
	}
}

// newUsers returns inputs for n users with a role in two organizations.
func newUsers(name string, n int) []any {
	users := make([]any, n)
	for i := range users {
		users[i] = object{"email": fmt.Sprintf("%s%d@example.com", name, i), "externalId": fmt.Sprintf("%s-%d", name, i), "givenName": "Ada", "properties": object{"n": i},
			"organizations": graphtest.Refs("code", "acme", "globex"), "roles": graphtest.Refs("key", "clerk", "writer")}
	}
	return users
}

// A thousand users come in one document, by as many statements as one, and all or none of
// them.
func TestCreateUsers(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := graphtest.New(t, traced)
	b.Ask(t, graphtest.TwoCustomers)
	const ids = `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { id name version } impact { gained { totalCount } } } }`
	statements := func(users []any) []string {
		b.Ask(t, `{ __typename }`)
		traced.Take()
		if got := len(b.Ask(t, ids, object{"input": object{"users": users}}).List("createUsers.users")); got != len(users) {
			t.Errorf("%d users for %d", got, len(users))
		}
		return slices.DeleteFunc(ofRequest(traced.Take()), func(text string) bool { return strings.Contains(text, "insert into changes") }) // which come in batches
	}
	t.Run("as many statements for a thousand", func(t *testing.T) {
		statements(newUsers("warm", 2))
		few := statements(newUsers("few", 1))
		many := statements(newUsers("many", 1000))
		for try := 0; try < 5 && len(many) > len(few); try++ { // now and then, one finds out who asks or what is new
			many = statements(newUsers(fmt.Sprint("many", try, "-"), 1000))
		}
		if len(many) > len(few) {
			t.Errorf("%d statements for a thousand, %d for one:\n%s", len(many), len(few), strings.Join(many, "\n"))
		}
	})
	t.Run("all faults with their index, and none made", func(t *testing.T) {
		users := newUsers("faulty", 40)
		users[30].(object)["email"] = "nothing"
		users[31].(object)["email"] = "many0@example.com"
		users[32].(object)["roles"] = graphtest.Refs("key", "nosuch")
		users[33].(object)["email"] = "FAULTY0@example.com"
		users[34].(object)["organizations"] = graphtest.Refs("code", "acme", "nosuch")
		users[35].(object)["password"] = "a long and secret one"
		before := b.State(t)
		a := b.Refused(t, "INVALID NOT_FOUND NOT_FOUND INVALID CONFLICT CONFLICT", ids, object{"input": object{"users": users}})
		var fields []string
		for i := range a.Errors {
			fields = append(fields, a.Field(i))
		}
		want := "input.users.30.email input.users.32.roles.0 input.users.34.organizations.1 input.users.35.password input.users.31.email input.users.33"
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		b.Unchanged(t, before)
	})
	t.Run("how many", func(t *testing.T) {
		b.Refused(t, "INVALID", ids, object{"input": object{"users": []any{}}})
		b.Refused(t, "INVALID", ids, object{"input": object{"users": newUsers("more", 1001)}})
	})
	t.Run("a dry run", func(t *testing.T) {
		before := b.State(t)
		b.Ask(t, strings.Replace(ids, ") {", ") @dryRun {", 1), object{"input": object{"users": newUsers("dry", 3)}})
		b.Unchanged(t, before)
	})
}

// Whoever must not know of organizations does not learn from making users which there are.
func TestCreateUsersTellsNoOrganizations(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	key := b.Holding(t, "", "roster:users:write", "roster:users:read")
	for name, document := range map[string]string{
		"createUser":  `mutation($o: [OrganizationRef!]) { createUser(input: {email: "a@example.com", organizations: $o}) { user { id } } }`,
		"createUsers": `mutation($o: [OrganizationRef!]) { createUsers(input: {users: [{email: "a@example.com", organizations: $o}]}) { users { id } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			tell := func(code string) string {
				a := b.As(t, key, document, object{"o": graphtest.Refs("code", code)})
				var told strings.Builder
				for i, fault := range a.Errors {
					fmt.Fprintln(&told, a.Code(i), a.Field(i), fault.Message)
				}
				return told.String()
			}
			if there, unknown := tell("acme"), tell("nosuch"); there == "" || there != unknown {
				t.Errorf("one that is there: %s\none that is not: %s", there, unknown)
			}
		})
	}
}

// Whoever is there already is left alone, changed or refused, as the input says.
func TestCreateUsersWhoAreThere(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation { createUser(input: {email: "ada@example.com", externalId: "x1", givenName: "Ada", familyName: "Lovelace", properties: {old: 1, both: 1}, organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } } }`)
	const say = `mutation($input: CreateUsersInput!) @dryRun { createUsers(input: $input) { users { email name externalId version properties memberships(first: 9) { nodes { organization { code } roles { key } } } } } }`
	ada := object{"email": "ADA@example.com", "givenName": "Augusta", "properties": object{"both": 2, "new": 3}, "organizations": graphtest.Refs("code", "globex"), "roles": graphtest.Refs("key", "writer")}
	for _, c := range []struct {
		name, on string
		users    []any
		codes    string
		want     string // of each user
	}{
		{"FAIL", "FAIL", []any{ada}, "CONFLICT", ""},
		{"FAIL by names alone", "FAIL", []any{object{"externalId": "x1"}}, "CONFLICT", ""},
		{"SKIP", "SKIP", []any{ada}, "", "Ada Lovelace 1 map[both:1 old:1] acme[clerk]"},
		{"SKIP by names alone", "SKIP", []any{object{"externalId": "x1", "organizations": graphtest.Refs("code", "globex")}}, "", "Ada Lovelace 1 map[both:1 old:1] acme[clerk]"},
		{"SKIP, and somebody new", "SKIP", []any{object{"email": "bob@example.com", "roles": []any{}}, ada}, "", "bob@example.com 1 map[] default[]; Ada Lovelace 1 map[both:1 old:1] acme[clerk]"},
		{"UPDATE", "UPDATE", []any{ada}, "", "Augusta Lovelace 2 map[both:2 new:3 old:1] acme[clerk] globex[writer]"},
		{"UPDATE with nothing new", "UPDATE", []any{object{"email": "ada@example.com", "familyName": "Lovelace"}}, "", "Ada Lovelace 1 map[both:1 old:1] acme[clerk]"},
		{"one user twice, new", "UPDATE", []any{object{"email": "bob@example.com"}, object{"email": "Bob@example.com"}}, "CONFLICT", ""},
		{"one user twice, there", "UPDATE", []any{ada, object{"externalId": "X1"}}, "CONFLICT", ""},
		{"one user twice, left alone", "SKIP", []any{ada, object{"externalId": "X1"}}, "CONFLICT", ""},
		{"two users of one name", "UPDATE", []any{object{"email": "bob@example.com", "username": "b"}, object{"email": "carl@example.com", "username": "B"}}, "CONFLICT", ""},
		{"a name of another", "UPDATE", []any{object{"email": "bob@example.com"}, object{"externalId": "x1", "email": "bob@example.com"}}, "CONFLICT", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := b.As(t, b.Key, say, object{"input": object{"users": c.users, "onConflict": c.on}})
			var all []string
			for _, user := range a.List("createUsers.users") {
				text := fmt.Sprint(graphtest.At(user, "name"), " ", graphtest.At(user, "version"), " ", graphtest.At(user, "properties"))
				for _, member := range graphtest.At(user, "memberships.nodes").([]any) {
					text += fmt.Sprint(" ", graphtest.At(member, "organization.code"), keysOf(graphtest.At(member, "roles")))
				}
				all = append(all, text)
			}
			if got := strings.Join(all, "; "); a.Codes() != c.codes || got != c.want {
				t.Errorf("%s\n got %q\nwant %q, %q", a.Body, got, c.codes, c.want)
			}
		})
	}
	t.Run("UPDATE again changes nothing", func(t *testing.T) {
		input := object{"input": object{"onConflict": "UPDATE", "users": append(newUsers("new", 20), ada)}}
		again := strings.Replace(say, " @dryRun", "", 1)
		b.Ask(t, again, input)
		before := b.State(t)
		b.Ask(t, again, input)
		b.Unchanged(t, before)
	})
	t.Run("rank", func(t *testing.T) {
		b.Ask(t, `mutation { createUser(input: {email: "root@example.com", roles: [{key: "roster-administrator"}]}) { user { id } } }`)
		key := b.Holding(t, "", "roster:users:write", "roster:users:read")
		for name, user := range map[string]object{
			"an address": {"email": "root@example.com", "externalId": "mine"},
			"a password": {"email": "root@example.com", "passwordHash": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"},
		} {
			if a := b.As(t, key, `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { id } } }`, object{"input": object{"users": []any{user}, "onConflict": "UPDATE"}}); a.Codes() != "FORBIDDEN" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
	})
}

// With an Idempotency-Key, users are created once, however often that is asked for, and another
// document with the same key is refused.
func TestCreateUsersOnce(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	send := func(users []any, conflict string) *graphtest.Answer {
		text, err := json.Marshal(object{"query": `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { id email } } }`, "variables": object{"input": object{"users": users, "onConflict": conflict}}})
		graphtest.Must(t, err)
		header := graphtest.Headers(b.Key)
		header.Set("Idempotency-Key", "once")
		return b.Send(t, http.MethodPost, "/graphql", header, text)
	}
	users := newUsers("once", 50)
	first := send(users, "FAIL")
	if first.Codes() != "" || len(first.List("createUsers.users")) != len(users) {
		t.Fatalf("%s", first.Body)
	}
	before := b.State(t)
	if again := send(users, "FAIL"); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("again: %s\nwant %s", again.Body, first.Body)
	}
	for name, a := range map[string]*graphtest.Answer{"one more": send(newUsers("once", 51), "FAIL"), "another way": send(users, "UPDATE")} {
		if a.Codes() != "CONFLICT" {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	b.Unchanged(t, before)
}

// keysOf returns the keys of a list of objects.
func keysOf(list any) []any {
	keys := []any{}
	for _, element := range list.([]any) {
		keys = append(keys, graphtest.At(element, "key"))
	}
	return keys
}
