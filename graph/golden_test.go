package graph_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"roster/db"
	"roster/graph/graphiql"
	"roster/graph/graphtest"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/golden")

// goldenCase is one question to the demo business, and its answer. In a file,
// cases look like this:
//
//	=== what it shows
//	as: administrator
//	{ query }
//	--- variables
//	{"id": "{{user ada.lovelace@acme.example}}"}
//	--- answer
//	{…}
//
// A line "header: Name: value" may follow the one of who asks. {{kind name}} stands
// for an id, also in the query. Mutations are rehearsed, so
// that every case finds the same business.
type goldenCase struct{ name, as, header, query, variables, answer string }

func parseGolden(t *testing.T, path string) []goldenCase {
	t.Helper()
	content, err := os.ReadFile(path)
	graphtest.Must(t, err)
	var cases []goldenCase
	for _, part := range strings.Split("\n"+string(content), "\n=== ")[1:] {
		c := goldenCase{}
		part, c.answer, _ = strings.Cut(part, "\n--- answer\n")
		part, c.variables, _ = strings.Cut(part, "\n--- variables\n")
		c.name, part, _ = strings.Cut(part, "\n")
		c.as, c.query, _ = strings.Cut(strings.TrimPrefix(part, "as: "), "\n")
		if header, ok := strings.CutPrefix(c.query, "header: "); ok {
			c.header, c.query, _ = strings.Cut(header, "\n")
		}
		cases = append(cases, c)
	}
	return cases
}

func (c goldenCase) String() string {
	text := "=== " + c.name + "\nas: " + c.as + "\n"
	if c.header != "" {
		text += "header: " + c.header + "\n"
	}
	text += strings.TrimSpace(c.query) + "\n"
	if c.variables != "" {
		text += "--- variables\n" + strings.TrimSpace(c.variables) + "\n"
	}
	return text + "--- answer\n" + strings.TrimSpace(c.answer) + "\n"
}

// goldenInvitations makes three invitations: an open one and a revoked one to Acme, and one
// to the default organization.
const goldenInvitations = `
insert into invitations (id, org_id, email, email_key, given_name, role_ids, default_roles, hash, invited_by, live, created_at, expires_at, revoked_at)
select gen_random_uuid(), o.id, i.email, i.email, 'Mary', array(select id from roles where key = i.role), i.role is null, '', 'system:demo', not i.revoked, i.at, '2090-01-01Z', case when i.revoked then i.at end
from (values ('acme', 'mary@example.com', 'owner', false, timestamptz '2026-01-01Z'), ('acme', 'dorothy@example.com', null, true, '2026-01-02Z'), (null, 'annie@example.com', null, false, '2026-01-03Z')) i (org, email, role, revoked, at)
join organizations o on o.code = i.org or i.org is null and o.is_default
where not exists (select from invitations)`

// askers are the API keys of those who ask in golden cases, and find applications beside the
// demo business. It makes what these ask about
// and the demo business does not have.
func askers(t *testing.T, b *graphtest.Server) map[string]string {
	t.Helper()
	withProviders(t, b)
	b.Ask(t, applications)
	b.Execute(t, goldenInvitations)
	b.StoreImport(t, "people.csv")
	viewer := b.Ask(t, `{ role(by: {key: "roster-viewer"}) { permissions { key } } }`).Texts("role.permissions", "key")
	return map[string]string{
		"administrator": b.Key,
		"viewer":        b.Holding(t, "", viewer...),
		"acme": b.Holding(t, "acme", "roster:members:read", "roster:members:write", "roster:organizations:read", "roster:roles:read",
			"roster:users:read", "roster:changes:read", "billing:read"),
		"owner":    b.StandingFor(t, "katherine.whitfield@acme.example", "acme", viewer...),
		"member":   b.StandingFor(t, "ada.lovelace@acme.example", "acme", viewer...),
		"nobody":   "",
		"stranger": "rk_" + strings.Repeat("x", 43),
	}
}

var placeholder = regexp.MustCompile(`\{\{(\w+) ([^}]+)\}\}`)

// expand puts ids in the place of what names them.
func expand(t *testing.T, b *graphtest.Server, text string) string {
	t.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		kind, name := placeholder.FindStringSubmatch(found)[1], placeholder.FindStringSubmatch(found)[2]
		id := ""
		switch kind {
		case "user":
			id = b.Ask(t, `query($x: String!) { user(by: {email: $x}) { id } }`, object{"x": name}).Text("user.id")
		case "org":
			id = b.Ask(t, `query($x: String!) { organization(by: {code: $x}) { id } }`, object{"x": name}).Text("organization.id")
		case "role", "permission":
			id = b.Ask(t, `query($x: String!) { `+kind+`(by: {key: $x}) { id } }`, object{"x": name}).Text(kind + ".id")
		case "member":
			email, org, _ := strings.Cut(name, " ")
			id = b.Ask(t, `query($x: String!, $y: String!) { user(by: {email: $x}) { membership(organization: {code: $y}) { id } } }`,
				object{"x": email, "y": org}).Text("user.membership.id")
		case "provider":
			id = graphtest.Rows[db.ProviderID](t, b, "select id from identity_providers where key = $1", name)[0].String()
		case "change":
			id = b.Ask(t, `query($x: String!) { changes(first: 1, filter: {action: $x}) { nodes { id } } }`, object{"x": name}).Text("changes.nodes.0.id")
		case "import":
			id = b.Ask(t, "{ imports("+name+": 1) { nodes { id } } }").Text("imports.nodes.0.id")
		case "invitation":
			id = b.Ask(t, "{ invitations("+name+": 1) { nodes { id } } }").Text("invitations.nodes.0.id")
		case "app":
			for _, app := range b.Ask(t, "{ applications { id name } }").List("applications") {
				if graphtest.At(app, "name") == name {
					id, _ = graphtest.At(app, "id").(string)
				}
			}
		case "key":
			id = b.Ask(t, "{ apiKeys("+name+": 1) { nodes { id } } }").Text("apiKeys.nodes.0.id")
		}
		if id == "" {
			t.Fatalf("there is no %s", found)
		}
		return id
	})
}

var (
	anID       = regexp.MustCompile(`\b(user|org|member|role|perm|key|app|change|grant|invitation|provider|import)_[0-9a-z]{26}\b`)
	anInstant  = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"`)
	anOpaque   = regexp.MustCompile(`"(cursor|startCursor|endCursor|revision|requestId|secret|clientSecret|prefix|link|url)": ?"[^"]*"`)
	aRawString = regexp.MustCompile(`\brk_[\w-]+`)
	// theExtensions matches the extensions of the answer: revision and cost.
	theExtensions = regexp.MustCompile(`(?s),\n  "extensions": \{.*\n  \}`)
)

// normalised returns an answer in a form that does not depend on when it was made:
// ids are numbered in the order in which they appear.
func normalised(t *testing.T, body []byte) string {
	t.Helper()
	var b bytes.Buffer
	graphtest.Must(t, json.Indent(&b, body, "", "  "))
	numbers := map[string]string{}
	text := anID.ReplaceAllStringFunc(b.String(), func(id string) string {
		if numbers[id] == "" {
			kind, _, _ := strings.Cut(id, "_")
			numbers[id] = fmt.Sprintf("%s_%d", kind, len(numbers)+1)
		}
		return numbers[id]
	})
	text = anInstant.ReplaceAllStringFunc(text, func(instant string) string {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, instant)
		graphtest.Must(t, err)
		if time.Since(at).Abs() < time.Hour {
			return `"<now>"`
		}
		if (time.Until(at) - 7*24*time.Hour).Abs() < time.Hour {
			return `"<in a week>"`
		}
		return instant
	})
	text = anOpaque.ReplaceAllString(text, `"$1": "<$1>"`)
	text = theExtensions.ReplaceAllString(text, "")
	return aRawString.ReplaceAllString(text, "<secret>")
}

var operationName = regexp.MustCompile(`\bmutation\b(\s*\w*\s*(\([^{]*\))?\s*)\{`)

// rehearsed returns a document that does nothing for good.
func rehearsed(query string) string {
	if strings.Contains(query, "@dryRun") {
		return query
	}
	return operationName.ReplaceAllString(query, "mutation$1@dryRun {")
}

// withProviders makes an identity provider of Acme, and one for everybody.
func withProviders(t *testing.T, b *graphtest.Server) {
	t.Helper()
	b.Execute(t, `insert into identity_providers (id, key, kind, display_name, issuer, client_id, client_secret, client_secret_set_at, org_id, created_at, updated_at)
		select gen_random_uuid(), key, 'OIDC', initcap(key), 'https://' || key || '.example', 'roster', '', now(), (select id from organizations where code = nullif(key, 'login')), now(), now()
		from unnest(array['acme', 'login']) key`)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	b := graphtest.NewDemo(t)
	all := golden(t, b, *update)
	everyFieldIsAsked(t, all)
	everyCodeIsShown(t, all)
}

// applications makes the applications of golden cases.
const applications = `mutation {
	web: createApplication(input: {name: "WEB", kind: WEB, redirectUrls: ["https://portal.example/callback"]}) { application { id } }
	phone: createApplication(input: {name: "NATIVE", kind: NATIVE, redirectUrls: ["com.example.phone:/callback"]}) { application { id } }
	machine: createApplication(input: {name: "MACHINE", kind: MACHINE, permissions: [{key: "billing:read"}], organization: {code: "acme"}}) { application { id } }
}`

// golden wants the answers of all cases, or writes them down anew, and returns the
// cases.
func golden(t *testing.T, b *graphtest.Server, rewrite bool) (all []goldenCase) {
	t.Helper()
	keys := askers(t, b)
	before := b.State(t)
	files, err := filepath.Glob("testdata/golden/*.txt")
	graphtest.Must(t, err)
	for _, file := range files {
		cases := parseGolden(t, file)
		var rewritten strings.Builder
		for _, c := range cases {
			header, body := requestOf(t, b, c, keys)
			a := b.Send(t, http.MethodPost, "/graphql", header, body)
			got := normalised(t, a.Body)
			if got != strings.TrimSpace(c.answer) && !rewrite {
				t.Errorf("%s: %s\ngot  %s\nwant %s", file, c.name, got, c.answer)
			}
			c.answer = got
			rewritten.WriteString(c.String() + "\n")
			all = append(all, c)
		}
		if rewrite {
			graphtest.Must(t, os.WriteFile(file, []byte(strings.TrimSpace(rewritten.String())+"\n"), 0o644))
		}
	}
	b.Unchanged(t, before)
	return all
}

// requestOf returns what a case sends.
func requestOf(t *testing.T, b *graphtest.Server, c goldenCase, keys map[string]string) (http.Header, []byte) {
	t.Helper()
	key, known := keys[c.as]
	if !known || c.query == "" {
		t.Fatalf("%q is not a case", c.name)
	}
	var variables object
	if c.variables != "" {
		graphtest.Must(t, json.Unmarshal([]byte(expand(t, b, c.variables)), &variables))
	}
	header, body := graphtest.Request(t, key, expand(t, b, rehearsed(c.query)), variables)
	if name, value, ok := strings.Cut(c.header, ": "); ok {
		header.Set(name, value)
	}
	return header, body
}

// codesWithoutGolden are error codes that no case can show, though something can
// cause them.
var codesWithoutGolden = map[string]string{
	"INTERNAL":    "takes a database that is broken: TestErrorCodes of transport",
	"UNAVAILABLE": "takes a database that is away: TestOutage",

	"INVITATION_ONLY": "takes other settings: TestErrorCodes of transport",
	"SUSPENDED":       "takes somebody who is suspended and signs in: TestErrorCodes of transport",
}

// everyCodeIsShown looks for error codes without a golden case.
func everyCodeIsShown(t *testing.T, cases []goldenCase) {
	t.Helper()
	for _, value := range graphtest.LoadSchema(t, "../schema.graphqls").Types["ErrorCode"].EnumValues {
		shown := slices.ContainsFunc(cases, func(c goldenCase) bool { return strings.Contains(c.answer, `"code": "`+value.Name+`"`) })
		if _, excused := codesWithoutGolden[value.Name]; shown == excused {
			t.Errorf("%s: a golden case shows it: %t; excused: %t", value.Name, shown, excused)
		}
	}
}

// ofSigningIn reports whether a field is a mutation of people who sign in, or of what
// it answers. These take several steps, and a mailbox: signin_test.go goes them.
func ofSigningIn(owner, field string) bool {
	switch owner {
	case "Mutation":
		return slices.Contains([]string{
			"signUp", "signIn", "continueSignIn", "switchOrganization", "signOut", "endSession", "accessToken", "requestPasswordReset", "resetPassword", "changePassword",
			"setTemporaryPassword", "rollApplicationSecret", "updateViewer", "requestEmailChange", "confirmEmailChange", "leaveOrganization", "unlinkIdentity", "acceptInvitation",
		}, field)
	case "SignInPayload", "SignInStep", "SignInStepPayload", "SessionPayload", "SignOutPayload", "AccessToken", "AccessTokenPayload", "AcceptedPayload":
		return true
	}
	return false
}

// everyFieldIsAsked looks for fields of Query and Mutation without a golden case
// that succeeds, and for types whose fields are never asked for.
func everyFieldIsAsked(t *testing.T, cases []goldenCase) {
	t.Helper()
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	asked := map[string]bool{}
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				asked[s.ObjectDefinition.Name+"."+s.Name] = true
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				walk(s.Definition.SelectionSet)
			}
		}
	}
	for _, c := range cases {
		if strings.Contains(c.answer, `"errors"`) {
			continue
		}
		document, errs := gqlparser.LoadQueryWithRules(schema, placeholder.ReplaceAllString(c.query, "x"), rules.NewDefaultRules())
		if errs != nil {
			t.Errorf("%s: %v", c.name, errs)
			continue
		}
		for _, o := range document.Operations {
			walk(o.SelectionSet)
		}
	}
	for _, d := range ownTypes(schema) {
		for _, f := range ownFields(d) {
			if d.Kind == ast.Object && !asked[d.Name+"."+f.Name] && !ofSigningIn(d.Name, f.Name) {
				t.Errorf("no golden case asks for %s.%s", d.Name, f.Name)
			}
		}
	}
}

// The examples of the playground work on the demo business, as they stand there, and
// show something. On an empty business, all that they can lack is what is not there yet.
func TestPlaygroundExamples(t *testing.T) {
	t.Parallel()
	ask := func(b *graphtest.Server, example graphiql.Example) *graphtest.Answer {
		var variables object
		if example.Variables != "" {
			graphtest.Must(t, json.Unmarshal([]byte(example.Variables), &variables))
		}
		return b.As(t, b.Key, example.Query, variables)
	}
	empty, b := graphtest.New(t), graphtest.NewDemo(t)
	for _, example := range graphiql.Examples(true) {
		a := ask(b, example)
		if len(a.Errors) > 0 {
			t.Errorf("%s: %s", example.Name, a.Body)
			continue
		}
		for field, answer := range a.Data.(object) {
			if answer == nil || len(a.List(field+".nodes")) == 0 && a.At(field+".nodes") != nil {
				t.Errorf("%s shows nothing: %s", example.Name, a.Body)
			}
		}
		// Rehearsals can be repeated. What says of itself that it cannot, answers so.
		again, codes := ask(b, example), ""
		if example.Name == "create-user" {
			codes = "CONFLICT"
		}
		if again.Codes() != codes {
			t.Errorf("%s again: %s", example.Name, again.Body)
		}
	}
	for _, example := range graphiql.Examples(false) {
		if a := ask(empty, example); strings.Trim(strings.NewReplacer("NOT_FOUND", "", "ROLLED_BACK", "").Replace(a.Codes()), " ") != "" {
			t.Errorf("%s on an empty business: %s", example.Name, a.Body)
		}
	}
}
