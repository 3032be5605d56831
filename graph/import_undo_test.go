package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/db/dbtest"
	"roster/graph/graphtest"
)

// tellLeft returns the lines of the rows that undoing has left as they are, with the first words
// of the reasons.
func tellLeft(t *testing.T, b *graphtest.Server, id string) string {
	t.Helper()
	var left []string
	for _, row := range b.Ask(t, `query($id: ID!) { import(id: $id) { rows(first: 100) { nodes { line warnings { code message } } } } }`, object{"id": id}).List("import.rows.nodes") {
		for _, warning := range graphtest.At(row, "warnings").([]any) {
			if graphtest.At(warning, "code") == "CHANGED_SINCE" {
				words := strings.Fields(fmt.Sprint(graphtest.At(warning, "message")))
				left = append(left, fmt.Sprint(graphtest.At(row, "line"), " ", strings.Join(words[:3], " ")))
			}
		}
	}
	return strings.Join(left, "; ")
}

// inMadeOrganizations are what others do in organizations that an import has made, by the
// external ids of these. ORG stands for the organization.
var inMadeOrganizations = map[string]string{
	"update":    `updateOrganization(input: {organization: ORG, autoJoinDomains: ["x.example"]}) { organization { id } }`,
	"back":      `updateOrganization(input: {organization: ORG, name: "Else"}) { organization { id } } b: updateOrganization(input: {organization: ORG, name: "back"}) { organization { id } }`,
	"suspend":   `suspendOrganization(input: {organization: ORG}) { organization { id } }`,
	"member":    `addMembers(input: {organization: ORG, users: [{externalId: "there"}]}) { memberships { id } }`,
	"left":      `addMembers(input: {organization: ORG, users: [{externalId: "there"}]}) { memberships { id } } removeMembers(input: {organization: ORG, users: [{externalId: "there"}]}) { deletedIds }`,
	"invite":    `invite(input: {organization: ORG, email: "guest@x.example", sendEmail: false}) { link }`,
	"key":       `createApiKey(input: {name: "x", permissions: [], organization: ORG}) { apiKey { id } }`,
	"machine":   `createApplication(input: {name: "m", kind: MACHINE, permissions: [], organization: ORG}) { application { id } }`,
	"provider":  `createIdentityProvider(input: {key: "own", kind: OIDC, issuer: "https://accounts.example.com", clientId: "r", clientSecret: "s", organization: ORG}) { provider { id } }`,
	"person":    `updateUser(input: {user: {externalId: "person-1"}, familyName: "Since"}) { user { id } }`,
	"standard":  `updateSettings(input: {defaultOrganization: ORG}) { settings { allowSelfSignUp } }`,
	"untouched": `__typename`,
}

// Organizations that an import has made or renamed are taken back, after the people, except
// those that somebody uses or has changed since: a row says so, the first of those that name the
// organization.
func TestUndoOfOrganizations(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation {
		h: createOrganization(input: {code: "hooli", name: "Hooli", externalId: "org_h"}) { organization { id } }
		i: createOrganization(input: {code: "initech", name: "Initech", externalId: "org_i"}) { organization { id } }
		u: createUser(input: {externalId: "there"}) { user { id } }
	}`)
	stop := b.StartImports(t)
	organizations := func() string {
		return strings.Join(graphtest.Rows[string](t, b, "select code || '=' || name from organizations where deleted_at is null order by code"), " ")
	}
	before := organizations()
	file, line := "id,external_organization_id\n", map[string]int{}
	names := keysInOrder(inMadeOrganizations)
	for i, name := range names {
		line[name] = 2 + 2*i
		file += fmt.Sprintf("%[1]s-1,%[1]s\n%[1]s-2,%[1]s\n", name)
	}
	people := b.Plan(t, object{"onUnknown": "CREATE_ORGANIZATIONS"}, "people.csv", file)
	b.Carry(t, "applyImport", people, "APPLIED")
	csv := b.Plan(t, object{"format": "ORGANIZATIONS_CSV"}, "organizations.csv", "name,id\nOne,made-1\nTwo,made-2\nHooli 2,org_h\nHooli 3,org_h\nInitech 2,org_i\nOne again,made-1\nInitech 2,org_i\n")
	b.Carry(t, "applyImport", csv, "APPLIED")
	b.Ask(t, `mutation { a: updateOrganization(input: {organization: {code: "initech"}, properties: {a: 1}}) { organization { id } } b: updateOrganization(input: {organization: {externalId: "made-2"}, properties: {a: 1}}) { organization { id } } }`)
	for name, document := range inMadeOrganizations {
		b.Ask(t, "mutation { "+strings.ReplaceAll(document, "ORG", `{externalId: "`+name+`"}`)+" }")
	}
	t.Run("files of organizations", func(t *testing.T) {
		b.Carry(t, "undoImport", csv, "UNDONE")
		if got, want := tellLeft(t, b, csv), "3 Somebody belongs to; 6 Somebody has changed"; got != want {
			t.Errorf("left are %q, want %q", got, want)
		}
		for _, want := range []string{"hooli=Hooli ", "initech=Initech 2", "two=Two"} {
			if got := organizations() + " "; !strings.Contains(got, want) || strings.Contains(got, "one=") {
				t.Errorf("there are %s, want %s", got, want)
			}
		}
	})
	t.Run("files of people", func(t *testing.T) {
		stop()
		writer := b.Holding(t, "", "roster:imports:write", "roster:users:write", "roster:members:write")
		if a := b.As(t, writer, `mutation($id: ID!) { undoImport(input: {import: $id}) { import { id } } }`, object{"id": people}); a.Codes() != "" {
			t.Fatalf("%s", a.Body)
		}
		b.WorkOnImports(t)
		b.ImportIs(t, people, "FAILED")
		if left := graphtest.Rows[int](t, b, "select count(*) from users where external_id ~ '-[12]$'")[0]; left != 1 {
			t.Errorf("%d people are left, want 1", left)
		}
		b.Carry(t, "undoImport", people, "UNDONE")
		var want []string
		for _, name := range names {
			if name != "untouched" {
				want = append(want, fmt.Sprint(line[name], " Somebody belongs to"))
			}
			if name == "person" {
				want = append(want[:len(want)-1], fmt.Sprint(line[name], " Somebody has changed"), want[len(want)-1])
			}
		}
		if got, want := tellLeft(t, b, people), strings.Join(want, "; "); got != want {
			t.Errorf("left are\n%s\nwant\n%s", got, want)
		}
		for _, name := range names {
			if there := strings.Contains(organizations(), name+"="); there == (name == "untouched") {
				t.Errorf("%s is there: %t", name, there)
			}
		}
	})
	if before == organizations() {
		t.Error("nothing is left")
	}
}

// keysInOrder returns the keys of a map, in order.
func keysInOrder[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// Suspensions end with the import that has made them, if whoever undoes it may restore the
// person; and a name that is somebody else's by now stays theirs. What cannot be taken back
// stays, its row says why, and everything else is taken back.
func TestUndoOfSuspensionsAndNames(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation {
		a: createUser(input: {email: "plain@x.example", externalId: "s1", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		b: createUser(input: {email: "writer@x.example", externalId: "s2", organizations: [{code: "acme"}], roles: [{key: "writer"}]}) { user { id } }
		c: createUser(input: {email: "since@x.example", externalId: "s3", givenName: "Old"}) { user { id } }
		d: createUser(input: {email: "before@x.example", externalId: "s4", givenName: "Old"}) { user { id } }
		e: createUser(input: {email: "key@x.example", externalId: "s5"}) { user { id } }
		f: createUser(input: {email: "boss@x.example", externalId: "s6", organizations: [{code: "acme"}], roles: [{key: "roster-administrator"}]}) { user { id } }
		g: createUser(input: {email: "was@x.example", externalId: "s7", givenName: "Old"}) { user { id } }
		k: createApiKey(input: {name: "x", permissions: [{key: "invoices:write"}], organization: {code: "default"}, user: {externalId: "s5"}}) { apiKey { id } }
	}`)
	b.WorkOnImports(t)
	id := b.Plan(t, object{"onConflict": "UPDATE"}, "people.csv", `id,email,first_name,suspended
s1,,New,TRUE
s2,,New,TRUE
s3,,New,TRUE
s4,after@x.example,New,
s5,,,TRUE
s6,,New,
s7,is@x.example,New,
`)
	b.Carry(t, "applyImport", id, "APPLIED")
	b.Ask(t, `mutation {
		a: updateUser(input: {user: {externalId: "s3"}, familyName: "Since"}) { user { id } }
		b: createUser(input: {email: "before@x.example"}) { user { id } }
	}`)
	undoer := b.Holding(t, "", "roster:imports:write", "roster:users:write", "roster:members:write", "invoices:read")
	if a := b.As(t, undoer, `mutation($id: ID!) { undoImport(input: {import: $id}) { import { id } } }`, object{"id": id}); a.Codes() != "" {
		t.Fatalf("%s", a.Body)
	}
	b.ImportIs(t, id, "UNDONE")
	const left = "3 The user stays; 4 Somebody has changed; 5 Another user has; 7 This user holds"
	if got := tellLeft(t, b, id); got != left {
		t.Errorf("left are %q, want %q\n%s", got, left, b.Report(t, id))
	}
	const want = `s1 plain@x.example ACTIVE; s2 writer@x.example SUSPENDED; s3 since@x.example New SUSPENDED; s4 after@x.example New ACTIVE; s5 key@x.example ACTIVE; s6 boss@x.example New ACTIVE; s7 was@x.example Old ACTIVE`
	if got := strings.Join(graphtest.Rows[string](t, b, "select concat_ws(' ', external_id, email, given_name, status) from users where external_id like 's_' order by external_id"), "; "); got != want {
		t.Errorf("they are\n%s\nwant\n%s", got, want)
	}
	if wrong := graphtest.Rows[string](t, b, "select email from users where email_key <> lower(email) or position(email_key in search) = 0"); len(wrong) > 0 {
		t.Errorf("%v are found by something else", wrong)
	}
}

// However many people and organizations an import has made, changed, suspended, brought and
// granted something, a chunk of them is taken back by as many statements.
func TestStatementsOfUndoDoNotGrow(t *testing.T) {
	t.Parallel()
	traced := &dbtest.Statements{}
	b := graphtest.New(t, traced)
	b.Ask(t, graphtest.TwoCustomers)
	b.WorkOnImports(t)
	few, many := undoStatements(t, b, traced, "few", 2), undoStatements(t, b, traced, "many", 60)
	for try := 0; try < 5 && len(many) > len(few); try++ { // now and then, one finds out what is new
		many = undoStatements(t, b, traced, fmt.Sprint("many", try), 60)
	}
	if len(many) > len(few) {
		t.Errorf("%d statements, and %d for thirty times as many:\n%s", len(few), len(many), strings.Join(many, "\n"))
	}
}

// undoStatements imports n people of each kind and n organizations, takes them back, and
// returns the statements of that.
func undoStatements(t *testing.T, b *graphtest.Server, traced *dbtest.Statements, mark string, n int) []string {
	t.Helper()
	var there []object
	file := "id,email,first_name,suspended,hashed_password,role_keys,permission_keys,external_organization_id\n"
	for i := range n {
		name := fmt.Sprintf("google-oauth2|%s%d", mark, i)
		there = append(there, object{"externalId": name, "email": fmt.Sprintf("%s%d@old.example", mark, i), "organizations": graphtest.Refs("code", "acme")})
		file += fmt.Sprintf("%s,%s%d@x.example,New,TRUE,%s,writer,invoices:send,acme\n", name, mark, i, aHash)
		file += fmt.Sprintf("%s,,,,,clerk,,%s-org%d\n", name, mark, i)
		file += fmt.Sprintf("made-%s%d,,New,TRUE,%s,clerk,,acme\n", mark, i, aHash)
	}
	b.Ask(t, `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { id } } }`, object{"input": object{"users": there}})
	id := b.Plan(t, object{"onConflict": "UPDATE", "onUnknown": "CREATE_ORGANIZATIONS"}, "people.csv", file)
	b.Carry(t, "applyImport", id, "APPLIED")
	users := graphtest.Rows[db.UserID](t, b, "select distinct user_id from import_rows where import_id = $1", importID(t, id))
	organizations := graphtest.Rows[db.OrganizationID](t, b, "select org_id from import_rows where import_id = $1 and org_id is not null", importID(t, id))
	if len(users) != 2*n || len(organizations) != n {
		t.Fatalf("%d users and %d organizations", len(users), len(organizations))
	}
	ctx := changes.WithImport(access.WithActor(t.Context(), access.System("test")), importID(t, id))
	graphtest.Eventually(t, 10*time.Second, "memory is trusted", func() bool { return b.Directory.Stats().Lag < 300*time.Millisecond })
	traced.Take()
	leftUsers, err := b.Directory.Withdraw(ctx, importID(t, id), users)
	graphtest.Must(t, err)
	left, err := b.Directory.WithdrawOrganizations(ctx, importID(t, id), organizations)
	graphtest.Must(t, err)
	statements := ofRequest(traced.Take())
	if len(leftUsers) > 0 || len(left) > 0 {
		t.Errorf("left are %v and %v", leftUsers, left)
	}
	return slices.DeleteFunc(statements, func(text string) bool {
		return strings.Contains(text, "insert into changes") || strings.Contains(text, "update imports") // which come in batches, and when a server looks for work
	})
}
