package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// An export imports again, and changes nothing.
func TestExportsImportAgain(t *testing.T) {
	t.Parallel()
	b := graphtest.NewDemo(t).Listen(t)
	b.WorkOnImports(t)
	b.SignedIn(t, "ada.lovelace@acme.example", "acme")
	b.Ask(t, `mutation {
		suspendUser(input: {user: {email: "ada.lovelace@acme.example"}}) { user { id } }
		n: createUser(input: {phone: "+442079460958", givenName: "=Formula", familyName: "'t, \"Hooft\"", properties: {a: [1, {b: "ü"}]}, organizations: [{code: "acme"}, {code: "default"}], roles: []}) { user { id } }
		p: grantPermissions(input: {organization: {code: "acme"}, users: [{email: "ada.lovelace@acme.example"}], permissions: [{key: "billing:read"}]}) { memberships { id } }
	}`)
	b.Execute(t, `insert into identities (provider, subject, user_id) select v.provider, v.subject, id from users,
		(values ('https://accounts.google.com', '107'), ('https://login.example.com/v2.0', 'a b')) v (provider, subject) where email = 'ada.lovelace@acme.example'`)
	before := b.State(t)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"users.csv", []string{"-hashes"}}, {"users.ndjson", []string{"-format", "ndjson", "-hashes"}}, {"acme.csv", []string{"-organization", "acme"}}, {"acme.ndjson", []string{"-organization", "acme", "-format", "ndjson"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), c.name)
			run := command{key: b.Key}
			if code := run.run(t.Context(), append([]string{"export", "-url", b.Issuer + "/graphql", "-o", file}, c.args...)...); code != 0 {
				t.Fatal(run.told.String())
			}
			report := file + ".report"
			code := run.run(t.Context(), "import", "-url", b.Issuer+"/graphql", "-apply", "-on-conflict", "update", "-report", report, file)
			changed := regexp.MustCompile(`0 users created, 0 updated, \d+ skipped, 0 failed`)
			if code != 0 || !changed.MatchString(run.out.String()) {
				text, _ := os.ReadFile(report)
				t.Errorf("exit code %d: %s %s\n%s", code, run.out.String(), run.told.String(), text)
			}
		})
	}
	after := b.State(t)
	for table, state := range before {
		if after[table] != state && !strings.HasPrefix(table, "import") && table != "changes" && table != "exports" && !strings.HasPrefix(table, "upload") {
			t.Errorf("%s was written to", table)
		}
	}
}
