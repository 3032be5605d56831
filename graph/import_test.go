package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db"
	"roster/graph/graphtest"
)

// importSeed is who is there before the imports of TestImports.
const importSeed = `mutation {
	h: createOrganization(input: {code: "hooli", name: "Hooli", externalId: "org_h"}) { organization { id } }
	ada: createUser(input: {email: "ada@old.example", externalId: "auth0|ada", givenName: "Ada", familyName: "Lovelace", properties: {old: 1, both: 1}, organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
	bob: createUser(input: {email: "bob@old.example", externalId: "kp_bob", givenName: "Bob"}) { user { id } }
	eve: createUser(input: {email: "eve@old.example", passwordHash: "` + aHash + `"}) { user { id } }
}`

// aHash is the bcrypt hash of "correct horse battery staple".
const aHash = "$2a$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

const kindeHeader = "email,id,first_name,last_name,phone,role_keys,permission_keys,external_organization_id\n"

// importCase is a file on its way in. report and people are what is told and what is there
// once it is applied, in the forms of tellRows and tellPeople.
type importCase struct {
	name   string
	input  object
	file   string
	report string
	people string
}

var importCases = []importCase{
	{"somebody new", object{}, kindeHeader + "n1@x.example,n1,Nora,New,,,,\n",
		"CSV 1/1 1+ 0~ 0= 0-; 2 CREATE", "n1@x.example Nora New default[guest]"},
	{"several rows of one user", object{}, kindeHeader + "m1@x.example,m1,Mia,M,,clerk,,acme\nM1@x.example,m1,,,,writer,invoices:send,acme\n,m1,Mary,,,,,globex\n",
		"CSV 3/3 1+ 2~ 0= 0-; 2 CREATE; 3 UPDATE; 4 UPDATE", "M1@x.example Mary M acme[clerk writer invoices:send] globex[clerk]"},
	{"SKIP", object{}, kindeHeader + "ada@old.example,,Augusta,,,writer,,\nn2@x.example,,N,,,,,\n",
		"CSV 2/2 1+ 0~ 1= 0-; 2 SKIP; 3 CREATE", "ada@old.example Ada Lovelace acme[clerk]; n2@x.example N default[guest]"},
	{"UPDATE", object{"onConflict": "UPDATE"}, kindeHeader + "ada@old.example,,Augusta,,,,,\nn3@x.example,,N,,,,,\n",
		"CSV 2/2 1+ 1~ 0= 0-; 2 UPDATE; 3 CREATE", "ada@old.example Augusta Lovelace acme[clerk]; n3@x.example N default[guest]"},
	{"UPDATE with nothing new", object{"onConflict": "UPDATE"}, kindeHeader + "ada@old.example,,Augusta,,,clerk,,acme\n",
		"CSV 1/1 0+ 0~ 1= 0-; 2 SKIP", "ada@old.example Augusta Lovelace acme[clerk]"},
	{"FAIL", object{"onConflict": "FAIL"}, kindeHeader + "ada@old.example,,Ada,,,,,\nn4@x.example,,N,,,,,\n",
		"CSV 2/2 1+ 0~ 0= 1-; 2 FAIL CONFLICT_EMAIL@email; 3 CREATE", "ada@old.example Augusta Lovelace acme[clerk]; n4@x.example N default[guest]"},
	{"roles without addresses meet no conflict", object{"onConflict": "FAIL"}, kindeHeader + ",kp_bob,,,,clerk,,org_h\n,kp_bob,,,,writer,,org_h\n,kp_bob,,,,clerk,,\n",
		"CSV 3/3 0+ 3~ 0= 0-; 2 UPDATE; 3 UPDATE; 4 UPDATE", "bob@old.example Bob default[guest clerk] hooli[clerk writer]"},
	{"unknown things fail", object{}, kindeHeader + "u1@x.example,,,,,nosuch,,\nu2@x.example,,,,,,no:such,\nu3@x.example,,,,,,,nowhere\nu4@x.example,,,,,,,\n",
		"CSV 4/4 1+ 0~ 0= 3-; 2 FAIL UNKNOWN_ROLE@role_keys; 3 FAIL UNKNOWN_PERMISSION@permission_keys; 4 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 5 CREATE", "u4@x.example default[guest]"},
	{"unknown things are left out", object{"onUnknown": "IGNORE"}, kindeHeader + "i1@x.example,,,,,\"nosuch,clerk\",,\ni2@x.example,,,,,,no:such,acme\ni3@x.example,,,,,,,nowhere\n",
		"CSV 3/3 3+ 0~ 0= 0-; 2 CREATE UNKNOWN_ROLE@role_keys; 3 CREATE UNKNOWN_PERMISSION@permission_keys; 4 CREATE UNKNOWN_ORGANIZATION@external_organization_id",
		"i1@x.example default[clerk]; i2@x.example acme[guest]; i3@x.example default[guest]"},
	{"unknown organizations are made", object{"onUnknown": "CREATE_ORGANIZATIONS"}, kindeHeader + "c1@x.example,,,,,,,made-1\nc2@x.example,,,,,clerk,,made-1\nc3@x.example,,,,,nosuch,,made-2\n",
		"CSV 3/3 2+ 0~ 0= 1-; 2 CREATE; 3 CREATE; 4 FAIL UNKNOWN_ROLE@role_keys", "c1@x.example made-1[guest]; c2@x.example made-1[clerk]"},
	{"an organization for those without one", object{"organization": object{"code": "globex"}}, kindeHeader + "o1@x.example,,,,,,,\no2@x.example,,,,,,,acme\n",
		"CSV 2/2 2+ 0~ 0= 0-; 2 CREATE; 3 CREATE", "o1@x.example globex[clerk]; o2@x.example acme[guest]"},
	{"faults", object{}, kindeHeader + "no address,f1,,,,,,\n,,Nobody,,,,,\n\nf3@x.example,f3,,,,,,\nf4@x.example,F3,,,,,,\n",
		"CSV 4/4 1+ 1~ 0= 2-; 2 FAIL FORMAT@email; 3 FAIL ANY_OF_MISSING; 5 CREATE; 6 UPDATE", "f4@x.example default[guest]"},
	{"a name of two people", object{"onConflict": "UPDATE"}, kindeHeader + "bob@old.example,auth0|ada,,,,,,\np1@x.example,p1,,,,,,\np1@x.example,p2,,,,,,\n",
		"CSV 3/3 1+ 0~ 0= 2-; 2 FAIL CONFLICT_EMAIL@email; 3 CREATE; 4 FAIL DUPLICATED_USER@id", "ada@old.example Augusta Lovelace acme[clerk]; bob@old.example Bob default[guest clerk] hooli[clerk writer]; p1@x.example default[guest]"},
	{"columns of a spreadsheet", object{"columns": object{"email": "E-Mail", "first_name": "Vorname"}}, "Vorname;E-Mail\nSöhnke;s1@x.example\n",
		"CSV 1/1 1+ 0~ 0= 0-; 2 CREATE", "s1@x.example Söhnke default[guest]"},
	{"ids of Auth0 with and without the provider", object{"onConflict": "UPDATE"}, `{"user_id":"ada","email":"ada@old.example","given_name":"Ada"}` + "\n" + `{"user_id":"auth0|a2","email":"a2@x.example"}` + "\n",
		"AUTH0_EXPORT 2/2 1+ 1~ 0= 0-; 1 UPDATE; 2 CREATE", "a2@x.example default[guest]; ada@old.example Ada Lovelace acme[clerk]"},
	{"an import of Auth0", object{}, `[{"email":"b1@x.example","email_verified":true,"user_id":"b1","blocked":true,"app_metadata":{"plan":"x"},"custom_password_hash":{"algorithm":"bcrypt","hash":{"value":"` + aHash + `"}}}]`,
		"AUTH0_BULK_JSON 1/1 1+ 0~ 0= 0-; 1 CREATE", "b1@x.example SUSPENDED default[guest] password"},
	{"hashes for those who have none", object{"onConflict": "FAIL"}, `{"_id":{"$oid":"x"},"email":"bob@old.example","passwordHash":"` + aHash + `"}` + "\n" + `{"_id":{"$oid":"y"},"email":"eve@old.example","passwordHash":"` + strings.Replace(aHash, "Wy", "Wa", 1) + `"}` + "\n",
		"AUTH0_PASSWORD_HASHES 2/2 0+ 1~ 1= 0-; 1 UPDATE; 2 SKIP", "bob@old.example Bob default[guest clerk] hooli[clerk writer] password; eve@old.example default[guest] password"},
	{"organizations", object{"format": "ORGANIZATIONS_CSV"}, "name,external_id\nOne,made-3\nHooli renamed,org_h\nHooli renamed,org_h\n",
		"ORGANIZATIONS_CSV 3/3 1+ 1~ 1= 0-; 2 CREATE; 3 UPDATE; 4 SKIP", ""},
}

// Files are planned, which changes nothing, and applied, as the table says: who is there
// already, what is unknown, and what several rows say of one user.
func TestImports(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, importSeed)
	b.WorkOnImports(t)
	for _, c := range importCases {
		t.Run(c.name, func(t *testing.T) {
			before := tellPeople(t, b, "")
			id := b.Plan(t, c.input, "file", c.file)
			if after := tellPeople(t, b, ""); after != before {
				t.Errorf("the plan has changed\n%s\nto\n%s", before, after)
			}
			plan := tellRows(t, b, id)
			b.Carry(t, "applyImport", id, "APPLIED")
			report := tellRows(t, b, id)
			if report != c.report {
				t.Errorf("report\n%s\nwant\n%s", report, c.report)
			}
			if planned := strings.Replace(plan, " 0/", " "+fmt.Sprint(strings.Count(plan, ";"))+"/", 1); planned != report && c.name != "organizations" {
				t.Errorf("planned\n%s\napplied\n%s", planned, report)
			}
			if got := tellPeople(t, b, c.file); got != c.people {
				t.Errorf("people\n%s\nwant\n%s\n%s", got, c.people, b.Report(t, id))
			}
			tellChanges(t, b, id)
		})
	}
}

// tellRows returns the counts of an import, and the line, outcome and codes of each row.
func tellRows(t *testing.T, b *graphtest.Server, id string) string {
	t.Helper()
	a := b.Ask(t, `query($id: ID!) { import(id: $id) { format rowsTotal rowsDone creates updates skips failures
		rows(first: 100) { nodes { line outcome user { id } errors { code column } warnings { code column } } } } }`, object{"id": id})
	im := a.At("import")
	text := fmt.Sprintf("%v %v/%v %v+ %v~ %v= %v-", graphtest.At(im, "format"), graphtest.At(im, "rowsDone"), graphtest.At(im, "rowsTotal"),
		graphtest.At(im, "creates"), graphtest.At(im, "updates"), graphtest.At(im, "skips"), graphtest.At(im, "failures"))
	for _, row := range a.List("import.rows.nodes") {
		text += fmt.Sprintf("; %v %v", graphtest.At(row, "line"), graphtest.At(row, "outcome"))
		for _, kind := range []string{"errors", "warnings"} {
			for _, fault := range graphtest.At(row, kind).([]any) {
				text += fmt.Sprintf(" %v", graphtest.At(fault, "code"))
				if column := graphtest.At(fault, "column"); column != nil {
					text += fmt.Sprintf("@%v", column)
				}
			}
		}
	}
	return text
}

// tellPeople returns the people whose addresses or ids the text names, with their places; all if
// the text is empty.
func tellPeople(t *testing.T, b *graphtest.Server, text string) string {
	t.Helper()
	return strings.Join(graphtest.Rows[string](t, b, `select concat_ws(' ', u.email, nullif(concat_ws(' ', u.given_name, u.family_name), ''), nullif(u.status, 'ACTIVE'), string_agg(o.code || '[' || concat_ws(' ',
			(select string_agg(r.key, ' ' order by g.granted_at, g.id) from membership_roles g join roles r on r.id = g.role_id where g.org_id = m.org_id and g.user_id = u.id and g.live),
			(select string_agg(p.key, ' ' order by g.granted_at, g.id) from membership_permissions g join permissions p on p.id = g.permission_id where g.org_id = m.org_id and g.user_id = u.id and g.live)) || ']', ' ' order by o.code),
			(select 'password' from passwords p where p.user_id = u.id))
		from users u join memberships m on m.user_id = u.id join organizations o on o.id = m.org_id
		where u.deleted_at is null and (position(u.email_key in lower($1)) > 0 or position(u.external_id_key in lower($1)) > 0 or $1 = '')
		group by u.id order by u.email_key`, text), "; ")
}

// tellChanges wants of an import one user.imported for each user and one
// membership.imported for each member, and no such change without an import as its cause.
func tellChanges(t *testing.T, b *graphtest.Server, id string) {
	t.Helper()
	for _, twice := range graphtest.Rows[string](t, b, `select action || ' ' || subject from changes where import_id = $1
		and action in ('user.imported', 'membership.imported') group by action, subject having count(*) > 1`, importID(t, id)) {
		t.Errorf("%s was recorded twice", twice)
	}
	for _, action := range graphtest.Rows[string](t, b, "select action from changes where import_id is null and action like '%.imported'") {
		t.Errorf("%s has no import as its cause", action)
	}
}

func importID(t *testing.T, text string) db.ImportID {
	t.Helper()
	id, err := db.ParseID[db.ImportKind](text)
	graphtest.Must(t, err)
	return id
}

// undoSeed is who is there before the import of TestUndo, and undoFile the import: UPDATE makes
// people and changes those who are there.
const (
	undoSeed = `mutation {
		kept: createUser(input: {email: "kept@x.example", externalId: "e1", givenName: "Kept", properties: {a: 1}, organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		edited: createUser(input: {email: "edited@x.example", givenName: "Old", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		found: createUser(input: {externalId: "found", organizations: [{code: "acme"}]}) { user { id } }
	}`
	undoFile = kindeHeader + `kept@x.example,e1,Changed,Name,,writer,invoices:send,acme
kept@x.example,,,,,clerk,,globex
edited@x.example,,Changed,,,writer,,acme
found@x.example,found,,,,,,acme
new@x.example,new,New,,,clerk,,acme
new-edited@x.example,,New,,,,,
new-granted@x.example,,New,,,,,
new-moved@x.example,,New,,,,,
new-added@x.example,,New,,,,,
new-in@x.example,,New,,,,,
new-suspended@x.example,,New,,,,,
new-key@x.example,,New,,,,,
new-deleted@x.example,,New,,,,,
`
	// sinceThen is what others do after the import.
	sinceThen = `mutation {
		a: updateUser(input: {user: {email: "edited@x.example"}, familyName: "Since"}) { user { id } }
		b: updateUser(input: {user: {email: "new-edited@x.example"}, familyName: "Since"}) { user { id } }
		c: grantRoles(input: {organization: {code: "default"}, users: [{email: "new-granted@x.example"}], roles: [{key: "clerk"}]}) { memberships { id } }
		d: moveMember(input: {user: {email: "new-moved@x.example"}, from: {code: "default"}, to: {code: "acme"}, keepGrants: true}) { membership { id } }
		e: addMembers(input: {organization: {code: "acme"}, users: [{email: "new-added@x.example"}]}) { memberships { id } }
		f: suspendMember(input: {organization: {code: "default"}, user: {email: "new-suspended@x.example"}}) { membership { id } }
		g: createApiKey(input: {name: "x", permissions: [], user: {email: "new-key@x.example"}}) { apiKey { id } }
		h: deleteUser(input: {user: {email: "new-deleted@x.example"}}) { deletedIds }
	}`
)

// What an import has made or changed is taken back, except what somebody has changed since.
func TestUndo(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, undoSeed)
	b.WorkOnImports(t)
	before := tellPeople(t, b, "kept@x.example found")
	id := b.Plan(t, object{"onConflict": "UPDATE"}, "people.csv", undoFile)
	b.Carry(t, "applyImport", id, "APPLIED")
	b.Ask(t, sinceThen)
	b.Execute(t, "update users set sign_in_count = 1, last_signed_in_at = now() where email = 'new-in@x.example'")
	b.Carry(t, "undoImport", id, "UNDONE")
	const want = `edited@x.example Changed Since acme[clerk]; ` +
		`new-added@x.example New acme[guest] default[guest]; new-edited@x.example New Since default[guest]; new-granted@x.example New default[guest clerk]; ` +
		`new-in@x.example New default[guest]; new-key@x.example New default[guest]; new-moved@x.example New acme[guest]; new-suspended@x.example New default[guest]`
	if after := tellPeople(t, b, "kept@x.example found"); after != before {
		t.Errorf("they were\n%s\nand are\n%s", before, after)
	}
	if got := tellPeople(t, b, strings.NewReplacer("kept@", "", ",e1", "", "found", "").Replace(undoFile)); got != want {
		t.Errorf("left are\n%s\nwant\n%s", got, want)
	}
	var left []string
	for _, row := range b.Ask(t, `query($id: ID!) { import(id: $id) { rows(first: 50) { nodes { line warnings { code } } } } }`, object{"id": id}).List("import.rows.nodes") {
		for _, warning := range graphtest.At(row, "warnings").([]any) {
			left = append(left, fmt.Sprint(graphtest.At(row, "line"), " ", graphtest.At(warning, "code")))
		}
	}
	if got, want := strings.Join(left, "; "), "4 CHANGED_SINCE; 7 CHANGED_SINCE; 8 CHANGED_SINCE; 9 CHANGED_SINCE; 10 CHANGED_SINCE; 11 CHANGED_SINCE; 12 CHANGED_SINCE; 13 CHANGED_SINCE"; got != want {
		t.Errorf("warnings of %s, want %s", got, want)
	}
	state := b.State(t)
	b.Ask(t, `mutation($id: ID!) { undoImport(input: {import: $id}) { import { status } } }`, object{"id": id})
	b.Unchanged(t, state)
	b.Refused(t, "CONFLICT", `mutation($id: ID!) { applyImport(input: {import: $id}) { import { status } } }`, object{"id": id})
}

// Whoever applies an import brings people where they may add members, hands out what they hold,
// and changes people of their rank; an organization that they must not know of is as good as
// none.
func TestAuthorityOfImports(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation {
		u: createUser(input: {email: "importer@x.example", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		m: addMembers(input: {organization: {code: "roster"}, users: [{email: "importer@x.example"}]}) { memberships { id } }
		g: grantPermissions(input: {organization: {code: "roster"}, users: [{email: "importer@x.example"}], permissions: [{key: "roster:imports:write"}, {key: "roster:users:write"}]}) { memberships { id } }
		boss: createUser(input: {email: "boss@x.example", organizations: [{code: "acme"}], roles: [{key: "roster-administrator"}]}) { user { id } }
	}`)
	importer := b.StandingFor(t, "importer@x.example", "", "roster:imports:write", "roster:users:write")
	const plan = `mutation($input: PlanImportInput!) { planImport(input: $input) { import { id } } }`
	carry := func(key, mutation, id string) {
		t.Helper()
		if a := b.As(t, key, `mutation($id: ID!) { `+mutation+`(input: {import: $id}) { import { id } } }`, object{"id": id}); a.Codes() != "" {
			t.Fatalf("%s: %s", mutation, a.Body)
		}
	}
	file := func(mark string) []byte {
		return []byte(kindeHeader + strings.ReplaceAll(`#1@x.example,,,,,,,acme
#2@x.example,,,,,clerk,,acme
#3@x.example,,,,,writer,,acme
#4@x.example,,,,,,,globex
#5@x.example,,,,,,,nowher
#6@x.example,,,,,,,
#7@x.example,,,,,clerk,,
boss@x.example,#8,,,,,,
`, "#", mark))
	}
	t.Run("who may begin", func(t *testing.T) {
		before := b.State(t)
		for _, permissions := range [][]string{nil, {"roster:imports:write"}, {"roster:users:write"}} {
			if a := b.SendFile(t, b.Holding(t, "", permissions...), plan, object{}, "x.csv", file("n")); a.Codes() != "FORBIDDEN" {
				t.Errorf("%v: %s", permissions, a.Body)
			}
		}
		after := b.State(t)
		for _, table := range []string{"uploads", "upload_chunks", "imports"} {
			if before[table] != after[table] {
				t.Errorf("%s was written to", table)
			}
		}
	})
	stop := b.StartImports(t)
	reader := b.Holding(t, "", "roster:imports:write", "roster:users:write", "roster:organizations:read")
	member := b.Holding(t, "", "roster:imports:write", "roster:users:write", "roster:members:write", "invoices:read")
	const (
		ofImporter = "CSV 8/8 1+ 0~ 0= 7-; 2 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 3 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 4 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 5 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 6 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 7 CREATE; 8 FAIL ESCALATION@external_organization_id; 9 FAIL ESCALATION"
		ofMember   = "CSV 8/8 5+ 0~ 0= 3-; 2 CREATE; 3 CREATE; 4 FAIL ESCALATION@external_organization_id; 5 CREATE; 6 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 7 CREATE; 8 CREATE; 9 FAIL ESCALATION"
	)
	for name, c := range map[string]struct{ planner, applier, report string }{
		"import":                            {importer, importer, ofImporter},
		"see organizations":                 {reader, reader, "CSV 8/8 1+ 0~ 0= 7-; 2 FAIL ESCALATION@external_organization_id; 3 FAIL ESCALATION@external_organization_id; 4 FAIL ESCALATION@external_organization_id; 5 FAIL ESCALATION@external_organization_id; 6 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 7 CREATE; 8 FAIL ESCALATION@external_organization_id; 9 FAIL ESCALATION"},
		"add members":                       {member, member, ofMember},
		"add members, planned by all":       {b.Key, member, ofMember},
		"import, planned by all":            {b.Key, importer, ofImporter},
		"everything, planned by one import": {importer, b.Key, ofImporter},
		"everything":                        {b.Key, b.Key, "CSV 8/8 6+ 1~ 0= 1-; 2 CREATE; 3 CREATE; 4 CREATE; 5 CREATE; 6 FAIL UNKNOWN_ORGANIZATION@external_organization_id; 7 CREATE; 8 CREATE; 9 UPDATE"},
	} {
		t.Run(name, func(t *testing.T) {
			id := b.SendFile(t, c.planner, plan, object{"onConflict": "UPDATE"}, "x.csv", file(strings.ReplaceAll(strings.ReplaceAll(name, " ", ""), ",", ""))).Text("planImport.import.id")
			b.ImportIs(t, id, "PLANNED")
			carry(c.applier, "applyImport", id)
			b.ImportIs(t, id, "APPLIED")
			if got := tellRows(t, b, id); got != c.report {
				t.Errorf("report\n%s\nwant\n%s", got, c.report)
			}
		})
	}
	for _, unknown := range []string{"FAIL", "IGNORE", "CREATE_ORGANIZATIONS"} {
		t.Run("foreign as unknown, "+unknown, func(t *testing.T) {
			id := b.SendFile(t, importer, plan, object{"onUnknown": unknown}, "x.csv", []byte(kindeHeader+"a"+unknown+"@x.example,,,,,,,globex\nb"+unknown+"@x.example,,,,,,,nowher\n")).Text("planImport.import.id")
			b.ImportIs(t, id, "PLANNED")
			lines := strings.Split(b.Report(t, id), "\n")
			if foreign, none := strings.ReplaceAll(lines[1], "globex", "nowher"), lines[2]; foreign[3:4] != none[3:4] || strings.TrimPrefix(foreign, "2") == foreign ||
				strings.Replace(foreign[1:], "a"+unknown, "b"+unknown, 1) != none[1:] {
				t.Errorf("%s\nis not like\n%s", foreign, none)
			}
		})
	}
	t.Run("authority that ends on the way", func(t *testing.T) {
		id := b.SendFile(t, importer, plan, object{}, "x.csv", file("end")).Text("planImport.import.id")
		b.ImportIs(t, id, "PLANNED")
		stop()
		carry(importer, "applyImport", id)
		b.Ask(t, `mutation { revokePermissions(input: {organization: {code: "roster"}, users: [{email: "importer@x.example"}], permissions: [{key: "roster:users:write"}]}) { memberships { id } } }`)
		b.WorkOnImports(t)
		b.ImportIs(t, id, "FAILED")
		if a := b.Ask(t, `query($id: ID!) { import(id: $id) { errorCode rowsDone } }`, object{"id": id}); a.Text("import.errorCode") != "FORBIDDEN" || a.At("import.rowsDone") != 0.0 {
			t.Errorf("%s", a.Body)
		}
		b.Carry(t, "applyImport", id, "APPLIED")
		if got, want := tellPeople(t, b, string(file("end"))), "end6@x.example default[guest]"; !strings.HasSuffix(got, want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// cutter cancels a context after so many statements.
type cutter struct {
	left   atomic.Int64
	cancel atomic.Pointer[context.CancelFunc]
}

func (c *cutter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if cancel := c.cancel.Load(); cancel != nil && c.left.Add(-1) == 0 {
		(*cancel)()
	}
	return ctx
}

func (c *cutter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// longFile has n users, each in two rows that are far apart.
func longFile(n int) string {
	var file strings.Builder
	file.WriteString(kindeHeader)
	for i := range n {
		fmt.Fprintf(&file, "l%d@x.example,l%d,Given %d,,,clerk,,acme\n", i, i, i)
	}
	for i := range n {
		fmt.Fprintf(&file, ",l%d,,,,writer,,globex\n", i)
	}
	return file.String()
}

// mortal is a business whose servers die while they work on imports.
type mortal struct {
	*graphtest.Server
	cut *cutter
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	cut := &cutter{}
	m := &mortal{graphtest.New(t, cut), cut}
	m.Ask(t, graphtest.TwoCustomers)
	m.Ask(t, `mutation { createUser(input: {email: "l7@x.example", givenName: "There"}) { user { id } } }`)
	return m
}

// plan sends a file, which nobody reads yet, and returns the id of the import.
func (m *mortal) plan(t *testing.T, file string) string {
	t.Helper()
	return m.SendFile(t, m.Key, `mutation($input: PlanImportInput!) { planImport(input: $input) { import { id } } }`, object{"onConflict": "UPDATE", "onUnknown": "CREATE_ORGANIZATIONS"}, "x.csv", []byte(file)).Text("planImport.import.id")
}

// act calls one of the mutations of an import.
func (m *mortal) act(t *testing.T, mutation, id string) {
	t.Helper()
	m.Ask(t, `mutation($id: ID!) { `+mutation+`(input: {import: $id}) { import { id } } }`, object{"id": id})
}

// work works on imports until the server dies, after so many statements, and what it had claimed
// is free again.
func (m *mortal) work(t *testing.T, statements int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // which ends one with nothing left to do
	defer cancel()
	m.cut.left.Store(statements)
	m.cut.cancel.Store(&cancel)
	m.Transfer.Work(ctx)
	m.cut.cancel.Store(nil)
	m.Execute(t, "update imports set claimed_until = 'epoch'") // once the database has noticed
}

// status returns the status of the import, and how many of its rows are in effect.
func (m *mortal) status(t *testing.T, id string) (status string, done int) {
	t.Helper()
	a := m.Ask(t, `query($id: ID!) { import(id: $id) { status rowsDone } }`, object{"id": id})
	return a.Text("import.status"), int(a.At("import.rowsDone").(float64))
}

// settle lets a server work in peace from now on, and waits until the file is read.
func (m *mortal) settle(t *testing.T, id string) (stop func()) {
	t.Helper()
	stop = m.StartImports(t)
	graphtest.Eventually(t, time.Minute, "the file is read", func() bool { status, _ := m.status(t, id); return status != "PLANNING" })
	return stop
}

// tell returns who is there, and which organizations are.
func (m *mortal) tell(t *testing.T) string {
	t.Helper()
	organizations := graphtest.Rows[string](t, m.Server, "select code || ' ' || name || ' ' || is_default from organizations where deleted_at is null order by code")
	return strings.ReplaceAll(tellPeople(t, m.Server, ""), "; ", "\n") + "\n" + strings.Join(organizations, "\n")
}

// An import whose server dies again and again, between any two statements, leaves what an
// undisturbed one leaves.
func TestDeathOfImports(t *testing.T) {
	t.Parallel()
	const users, kills = 600, 10
	var told [2]string
	for i := range told {
		m := newMortal(t)
		id := m.plan(t, longFile(users))
		if i == 1 {
			for range kills {
				status, _ := m.status(t, id)
				if status == "APPLIED" {
					break
				}
				if status == "PLANNED" {
					m.act(t, "applyImport", id)
				}
				m.work(t, 1+rand.Int64N(40))
			}
		}
		m.settle(t, id)
		m.Carry(t, "applyImport", id, "APPLIED")
		rows, _, _ := strings.Cut(tellRows(t, m.Server, id), ";")
		told[i] = rows + "\n" + m.tell(t)
	}
	if told[0] != told[1] {
		t.Errorf("undisturbed\n%.2000s\nand killed\n%.2000s", told[0], told[1])
	}
}

// blind fails to read any chunk of a file but the first, so many times.
type blind struct{ left atomic.Int64 }

func (b *blind) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, "select data from upload_chunks") && data.Args[1] != int64(0) && b.left.Add(-1) >= 0 {
		failed, cancel := context.WithCancel(ctx)
		cancel()
		return failed
	}
	return ctx
}

func (*blind) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// An import whose file cannot be read for a while is read on by the server that has begun, and no
// row is left out. Nobody else can claim it here.
func TestReadingOfImportsGoesOn(t *testing.T) {
	t.Parallel()
	blind := &blind{}
	blind.left.Store(2)
	m := &mortal{Server: graphtest.New(t, blind)}
	m.Ask(t, graphtest.TwoCustomers)
	const users = 1500 // more rows than are read at a time
	id := m.plan(t, longFile(users)+strings.Repeat("\n", 1<<20))
	m.Execute(t, "create function keep() returns trigger language plpgsql as $$ begin new.claimed_until = '2999-01-01'; return new; end $$")
	m.Execute(t, "create trigger keep before update on imports for each row when (new.worker is not null) execute function keep()")
	m.StartImports(t)
	m.ImportIs(t, id, "PLANNED")
	if got := graphtest.Rows[int](t, m.Server, "select rows_total::int from imports")[0]; got != 2*users || blind.left.Load() >= 0 {
		t.Errorf("%d rows, and %d failures are left", got, blind.left.Load())
	}
}

// However little a row has in its file, its report is kept: a file has an end.
func TestRowsOfImportsAreBounded(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Transfer.MaxRows = 5000
	b.StartImports(t)
	for rows, want := range map[int]string{5000: "PLANNED", 5001: "FAILED"} {
		file := "email\n" + strings.Repeat("x\n", rows)
		id := b.SendFile(t, b.Key, `mutation($input: PlanImportInput!) { planImport(input: $input) { import { id } } }`, object{}, "x.csv", []byte(file)).Text("planImport.import.id")
		b.ImportIs(t, id, want)
	}
}

// An import that is cancelled when some of its chunks are in effect is undone without a trace,
// also by servers that die again and again; or it is applied further, and leaves what an
// undisturbed one leaves.
func TestCancelledImports(t *testing.T) {
	t.Parallel()
	file := longFile(200)
	for i := range 30 {
		file += fmt.Sprintf("l%d@x.example,,,,,,,made-%d\n", i*13, i%5) + fmt.Sprintf("l%d@x.example,,,,,,,made-%d\n", i, i%5)
	}
	cancelled := func(m *mortal) (id string) {
		id = m.plan(t, file)
		stop := m.settle(t, id)
		stop()
		m.act(t, "applyImport", id)
		for statements := int64(20); ; statements += 5 { // until a chunk comes through
			m.work(t, statements)
			if status, done := m.status(t, id); done > 0 {
				if m.act(t, "cancelImport", id); status != "APPLYING" {
					t.Fatalf("%s too early", status)
				}
				return id
			}
		}
	}
	m := newMortal(t)
	before := m.tell(t)
	undone := cancelled(m)
	m.act(t, "undoImport", undone)
	for range 100 {
		if status, _ := m.status(t, undone); status == "UNDONE" {
			break
		}
		m.work(t, 10+rand.Int64N(60))
	}
	if status, _ := m.status(t, undone); status != "UNDONE" || m.tell(t) != before {
		t.Errorf("before\n%.2000s\nand after it was undone: %s\n%.2000s", before, status, m.tell(t))
	}
	further := cancelled(m)
	m.settle(t, further)
	m.Carry(t, "applyImport", further, "APPLIED")
	undisturbed := newMortal(t)
	id := undisturbed.plan(t, file)
	undisturbed.settle(t, id)
	undisturbed.Carry(t, "applyImport", id, "APPLIED")
	if got, want := m.tell(t), undisturbed.tell(t); got != want {
		t.Errorf("undisturbed\n%.2000s\nand cancelled\n%.2000s", want, got)
	}
	m.Carry(t, "undoImport", further, "UNDONE")
	if got := m.tell(t); got != before {
		t.Errorf("before\n%.2000s\nand after it was undone\n%.2000s", before, got)
	}
}

// Two imports of the same people and ordinary writes to them go on at the same time: nobody
// sees an error, and both end.
func TestImportsAtOnce(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.WorkOnImports(t)
	const n = 600
	var there []object
	var forth, back []string
	for i := range n {
		if i%3 == 0 {
			there = append(there, object{"email": fmt.Sprintf("t%d@x.example", i), "externalId": fmt.Sprintf("t%d", i)})
		}
		forth = append(forth, fmt.Sprintf("t%d@x.example,t%d,Forth %d,,,clerk,,acme\n", i, i, i))
		back = append([]string{fmt.Sprintf("t%d@x.example,t%d,Back %d,,,writer,,acme\n", i, i, i)}, back...)
	}
	b.Ask(t, `mutation($input: CreateUsersInput!) { createUsers(input: $input) { users { id } } }`, object{"input": object{"users": there}})
	ids := []string{b.Plan(t, object{"onConflict": "UPDATE"}, "x.csv", kindeHeader+strings.Join(forth, "")), b.Plan(t, object{"onConflict": "UPDATE"}, "x.csv", kindeHeader+strings.Join(back, ""))}
	for _, id := range ids {
		b.Ask(t, `mutation($id: ID!) { applyImport(input: {import: $id}) { import { id } } }`, object{"id": id})
	}
	for i := 0; i < n; i += 30 {
		b.Ask(t, fmt.Sprintf(`mutation { updateUser(input: {user: {externalId: "t%d"}, familyName: "Meanwhile"}) { user { id } }
			grantRoles(input: {organization: {code: "default"}, users: [{externalId: "t%d"}, {externalId: "t%d"}], roles: [{key: "writer"}]}) { memberships { id } } }`, n-30-i, n-30-i, i))
	}
	for _, id := range ids {
		b.ImportIs(t, id, "APPLIED")
		rows, _, _ := strings.Cut(tellRows(t, b, id), ";")
		if !strings.HasPrefix(rows, fmt.Sprintf("CSV %d/%d ", n, n)) || !strings.HasSuffix(rows, " 0-") {
			t.Errorf("%s", rows)
		}
	}
	if got := graphtest.Rows[int](t, b, "select count(*) from users u where external_id like 't%' and given_name is not null and (select count(*) from membership_roles r join organizations o on o.id = r.org_id where r.user_id = u.id and o.code = 'acme') = 2")[0]; got != n {
		t.Errorf("%d users are as both files say, want %d", got, n)
	}
}

// After an import, and after it is undone, another server of the same database answers checks as
// the database has it, from memory, once it is told the revision.
func TestImportsReachOtherServers(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	b.Ask(t, `mutation {
		a: createUser(input: {externalId: "granted", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
		b: createUser(input: {externalId: "suspended", organizations: [{code: "acme"}], roles: [{key: "writer"}]}) { user { id } }
		c: createUser(input: {externalId: "joining", organizations: [{code: "acme"}], roles: [{key: "clerk"}]}) { user { id } }
	}`)
	other := b.Restarted(t)
	b.WorkOnImports(t)
	var input []object
	for _, user := range []string{"granted", "suspended", "joining", "new", "made"} {
		for _, place := range []object{{"code": "acme"}, {"code": "globex"}, {"externalId": "fresh"}} {
			for _, permission := range []string{"invoices:read", "invoices:write"} {
				input = append(input, object{"user": object{"externalId": user}, "organization": place, "permission": permission})
			}
		}
	}
	text, err := json.Marshal(object{"query": `query($input: [CheckInput!]!) { checks(input: $input) }`, "variables": object{"input": input}})
	graphtest.Must(t, err)
	tell := func(header http.Header) string {
		a := other.Send(t, http.MethodPost, "/graphql", header, text)
		if a.Codes() != "" {
			t.Fatalf("%s", a.Body)
		}
		var told strings.Builder
		for i, allowed := range a.List("checks") {
			if allowed == true {
				place := input[i]["organization"].(object)
				fmt.Fprint(&told, " ", graphtest.At(input[i], "user.externalId"), "@", place["code"], place["externalId"], ":", strings.TrimPrefix(input[i]["permission"].(string), "invoices:"))
			}
		}
		return told.String()
	}
	want := func(when, want string) {
		t.Helper()
		// The server that shows the end of an import may not have heard of its last changes yet.
		last, err := db.SelectOne[string](t.Context(), b.Database, "select max(xid::text::bigint)::text from changes")
		graphtest.Must(t, err)
		graphtest.Must(t, b.Directory.Await(t.Context(), *last))
		header := graphtest.Headers(b.Key)
		revision, _ := graphtest.At(graphtest.ParseJSON(t, string(b.Ask(t, "{ __typename }").Body)), "extensions.revision").(string)
		header.Set("Roster-At-Least", revision)
		if got := tell(header); got != want {
			t.Errorf("%s: another server allows\n%s\nwant\n%s", when, got, want)
		}
		graphtest.Eventually(t, 10*time.Second, "memory answers", func() bool {
			before := other.Directory.Stats()
			got := tell(graphtest.Headers(b.Key))
			after := other.Directory.Stats()
			if got != want {
				t.Fatalf("%s, from memory:\n%s\nwant\n%s", when, got, want)
			}
			return after.Hits > before.Hits && after.Misses == before.Misses && after.Exact == before.Exact
		})
	}
	const before = ` granted@acme<nil>:read suspended@acme<nil>:read suspended@acme<nil>:write joining@acme<nil>:read`
	want("before", before)
	id := b.Plan(t, object{"onConflict": "UPDATE", "onUnknown": "CREATE_ORGANIZATIONS"}, "x.csv",
		"id,suspended,role_keys,external_organization_id\ngranted,,writer,acme\nsuspended,TRUE,,\njoining,,writer,globex\nnew,,clerk,acme\nmade,,writer,fresh\n")
	b.Carry(t, "applyImport", id, "APPLIED")
	want("imported", ` granted@acme<nil>:read granted@acme<nil>:write joining@acme<nil>:read joining@globex<nil>:read joining@globex<nil>:write new@acme<nil>:read made@<nil>fresh:read made@<nil>fresh:write`)
	b.Carry(t, "undoImport", id, "UNDONE")
	want("undone", before)
}

// What a row may change of somebody who ranks higher than whoever imports it, by what it says of
// them.
func TestRankOfRows(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.TwoCustomers)
	rows := map[string]struct {
		says    string
		refused bool
	}{
		"email":             {`"email": "else-#@x.example"`, true},
		"emailVerified":     {`"email_verified": true`, true},
		"username":          {`"username": "else-#"`, true},
		"phone":             {`"phone": "+442079460958"`, true},
		"externalId":        {`"external_id": "else-#"`, true},
		"suspended":         {`"suspended": true`, true},
		"password":          {`"hashed_password": "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"`, true},
		"account elsewhere": {`"identities": [{"provider": "google-oauth2", "user_id": "#"}]`, true},
		"names":             {`"given_name": "Else"`, false},
		"picture":           {`"picture_url": "https://x.example/#.png"`, false},
		"properties":        {`"properties": {"a": 1}`, false},
		"organization":      {`"external_organization_id": "globex"`, false},
	}
	var people []string
	for i, name := range keysInOrder(rows) {
		id := b.Ask(t, `mutation($u: String!, $e: String!) { createUser(input: {username: $u, email: $e, organizations: [{code: "acme"}], roles: [{key: "roster-organization-administrator"}]}) { user { id } } }`, object{"u": fmt.Sprint("boss", i), "e": fmt.Sprintf("boss%d@x.example", i)}).Text("createUser.user.id")
		people = append(people, `{"roster_id": "`+id+`", `+strings.ReplaceAll(rows[name].says, "#", strconv.Itoa(i))+`}`)
	}
	b.WorkOnImports(t)
	lower := b.Holding(t, "", "roster:imports:write", "roster:users:write", "roster:members:write", "invoices:read")
	id := b.Plan(t, object{"onConflict": "UPDATE"}, "bosses.json", "["+strings.Join(people, ",")+"]")
	if a := b.As(t, lower, `mutation($id: ID!) { applyImport(input: {import: $id}) { import { id } } }`, object{"id": id}); a.Codes() != "" {
		t.Fatalf("%s", a.Body)
	}
	b.ImportIs(t, id, "APPLIED")
	got := b.Ask(t, `query($id: ID!) { import(id: $id) { rows(first: 100) { nodes { outcome errors { code message } } } } }`, object{"id": id}).List("import.rows.nodes")
	for i, name := range keysInOrder(rows) {
		text, outcome := fmt.Sprint(graphtest.At(got[i], "errors")), graphtest.At(got[i], "outcome")
		if want := map[bool]string{true: "FAIL", false: "UPDATE"}[rows[name].refused]; outcome != want || rows[name].refused != strings.Contains(text, "You must hold every permission of Roster") {
			t.Errorf("%s: %v %s, want %s", name, outcome, text, want)
		}
	}
}
