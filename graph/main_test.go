package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/dbtest"
	"roster/demo"
	"roster/directory"
	"roster/graph"
	"roster/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// testBundle is a server over a database of its own.
type testBundle struct {
	database  *db.DB
	directory *directory.Directory
	handler   *graph.Handler
	// key is that of the administrator.
	key string
}

// setup gives a server over an empty business.
func setup(t testing.TB, tracers ...pgx.QueryTracer) *testBundle {
	t.Helper()
	return serve(t, dbtest.New(t, tracers...))
}

// serve is setup over a database that is migrated and empty.
func serve(t testing.TB, database *db.DB) *testBundle {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b := &testBundle{database: database, directory: directory.New(database, access.Options{Log: log}), key: credential.New().Reveal()}
	t.Cleanup(b.directory.Close)
	must(t, b.directory.Setup(t.Context()))
	must(t, b.directory.EnsureAdministratorKey(t.Context(), secret.New(b.key)))
	must(t, b.directory.Follow(t.Context()))
	b.handler = graph.NewHandler(graph.Options{Directory: b.directory, Log: log, Introspection: true})
	return b
}

// withDemo fills the business with the demo data.
func (b *testBundle) withDemo(t testing.TB) *testBundle {
	t.Helper()
	_, err := b.directory.FillEmpty(access.WithActor(t.Context(), access.System("demo")), func(ctx context.Context) error {
		return demo.Fill(ctx, b.handler.Execute)
	})
	must(t, err)
	return b
}

// holding makes an API key with those permissions, in an organization unless its
// code is empty, and gives its secret.
func (b *testBundle) holding(t testing.TB, org string, permissions ...string) string {
	t.Helper()
	input := object{"name": "test", "permissions": refs("key", permissions...)}
	if org != "" {
		input["organization"] = object{"code": org}
	}
	return b.ask(t, `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }`, object{"input": input}).text("createApiKey.secret")
}

// standingFor makes an API key with those permissions that stands for a user, in
// an organization unless its code is empty, and gives its secret.
func (b *testBundle) standingFor(t testing.TB, email, org string, permissions ...string) string {
	t.Helper()
	input := object{"name": "test", "permissions": refs("key", permissions...), "user": object{"email": email}}
	if org != "" {
		input["organization"] = object{"code": org}
	}
	return b.ask(t, `mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }`, object{"input": input}).text("createApiKey.secret")
}

// object is a JSON object.
type object = map[string]any

// refs gives a list of references by that field.
func refs(field string, values ...string) []object {
	all := make([]object, len(values))
	for i, value := range values {
		all[i] = object{field: value}
	}
	return all
}

// answer is a response.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
	Data   any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
	Extensions struct{ Cost struct{ Requested int } }
}

// codes are those of the errors, joined by spaces.
func (a *answer) codes() string {
	all := make([]string, len(a.Errors))
	for i, e := range a.Errors {
		all[i], _ = e.Extensions["code"].(string)
	}
	return strings.Join(all, " ")
}

// field is what extensions.field of the i-th error says.
func (a *answer) field(i int) string {
	field, _ := a.Errors[i].Extensions["field"].(string)
	return field
}

// at gives what lies at a path of the data, such as "users.nodes.0.name"; nil
// when there is nothing.
func (a *answer) at(path string) any { return at(a.Data, path) }

// text is at for a string.
func (a *answer) text(path string) string {
	text, _ := a.at(path).(string)
	return text
}

// list is at for a list.
func (a *answer) list(path string) []any {
	list, _ := a.at(path).([]any)
	return list
}

// texts gives the string at a path of each element of a list.
func (a *answer) texts(list, path string) []string {
	all := []string{}
	for _, element := range a.list(list) {
		text, _ := at(element, path).(string)
		all = append(all, text)
	}
	return all
}

func at(v any, path string) any {
	if path == "" {
		return v
	}
	for name := range strings.SplitSeq(path, ".") {
		switch inner := v.(type) {
		case object:
			v = inner[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(inner) {
				return nil
			}
			v = inner[i]
		default:
			return nil
		}
	}
	return v
}

const requestID = "request-of-a-test"

// send sends a request with a body as it is.
func (b *testBundle) send(t testing.TB, method, target string, header http.Header, body []byte) *answer {
	t.Helper()
	r := httptest.NewRequestWithContext(changes.WithRequestID(t.Context(), requestID), method, target, bytes.NewReader(body))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	a := &answer{Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
	if err := json.Unmarshal(a.Body, a); err != nil {
		t.Errorf("%v in %s", err, a.Body)
	}
	return a
}

// headers are those of a POST with the API key; none when it is empty.
func headers(key string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	return header
}

// as sends an operation with the API key; none when it is empty.
func (b *testBundle) as(t testing.TB, key, query string, variables object) *answer {
	t.Helper()
	body, err := json.Marshal(object{"query": query, "variables": variables})
	must(t, err)
	return b.send(t, http.MethodPost, "/graphql", headers(key), body)
}

// ask sends an operation as the administrator, and wants no errors.
func (b *testBundle) ask(t testing.TB, query string, variables ...object) *answer {
	t.Helper()
	a := b.as(t, b.key, query, merged(variables))
	if len(a.Errors) > 0 || a.Status != http.StatusOK {
		t.Fatalf("%d for %s\n%s", a.Status, query, a.Body)
	}
	return a
}

// refused sends an operation as the administrator, and wants it to fail with
// those codes and without data.
func (b *testBundle) refused(t testing.TB, codes, query string, variables ...object) *answer {
	t.Helper()
	a := b.as(t, b.key, query, merged(variables))
	if a.codes() != codes || a.Data != nil {
		t.Errorf("%s\nanswers %s\nwant %s", query, a.Body, codes)
	}
	return a
}

func merged(all []object) object {
	one := object{}
	for _, variables := range all {
		maps.Copy(one, variables)
	}
	return one
}

// state gives a hash of each table's rows.
func (b *testBundle) state(t testing.TB) map[string]string {
	t.Helper()
	tables := rows[string](t, b, "select table_name::text from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'")
	state := map[string]string{}
	for _, table := range tables {
		row := "t::text"
		if table == "api_keys" { // that a key was used is no change
			row = "(to_jsonb(t) - 'last_used_at')::text"
		}
		state[table] = rows[string](t, b, "select coalesce(md5(string_agg("+row+", e'\\n' order by "+row+")), 'empty') from "+table+" t")[0]
	}
	return state
}

// unchanged fails unless every table is as it was.
func (b *testBundle) unchanged(t testing.TB, before map[string]string) bool {
	t.Helper()
	after := b.state(t)
	for _, table := range slices.Sorted(maps.Keys(after)) {
		if after[table] != before[table] {
			t.Errorf("%s was written to", table)
		}
	}
	return maps.Equal(before, after)
}

// rows reads rows with arguments $1, $2, ….
func rows[T any](t testing.TB, b *testBundle, text string, args ...any) []T {
	t.Helper()
	all, err := db.Select[T](t.Context(), b.database, text, args...)
	must(t, err)
	return all
}

// execute changes rows behind the directory's back.
func (b *testBundle) execute(t testing.TB, text string, args ...any) {
	t.Helper()
	_, err := b.database.NewRaw(text, args...).Exec(t.Context())
	must(t, err)
}

// document makes one document of many fields: field is given the number of each.
func document(operation string, from, to int, field func(i int) string) string {
	var text strings.Builder
	text.WriteString(operation + " {\n")
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "f%d: %s\n", i, field(i))
	}
	text.WriteString("}")
	return text.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parseJSON(t testing.TB, text string) any {
	t.Helper()
	var v any
	must(t, json.Unmarshal([]byte(text), &v))
	return v
}
