package transport_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
	"roster/graph/transport"
)

// askSDL returns the answer to a request for the schema as a file.
func askSDL(t *testing.T, b *graphtest.Server, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/schema.graphql", nil)
	r.Header = header
	w := httptest.NewRecorder()
	b.Handler.ServeSDL(w, r)
	return w
}

// The file is the schema that introspection tells, with its directives: tools that
// read one of them make the same of it.
func TestSDLIsTheSchema(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	file := askSDL(t, b, nil)
	if got := file.Header().Get("Content-Type"); file.Code != http.StatusOK || got != "application/graphql; charset=utf-8" {
		t.Fatalf("%d, %s", file.Code, got)
	}
	if !strings.Contains(file.Body.String(), "directive @oneOf on INPUT_OBJECT") {
		t.Error("@oneOf is not declared")
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: file.Body.String()})
	graphtest.Must(t, err)
	contract := graphtest.LoadSchema(t, "../../schema.graphqls")
	told := b.Ask(t, `{ __schema { types { name description isOneOf fields { name description type { ...type } } } directives { name description } } }
		fragment type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`)
	if got, want := len(told.List("__schema.types")), len(schema.Types); got != want {
		t.Errorf("introspection has %d types, the file %d", got, want)
	}
	needs := 0
	for _, one := range told.List("__schema.types") {
		name, _ := graphtest.At(one, "name").(string)
		definition, origin := schema.Types[name], contract.Types[name]
		if strings.HasPrefix(name, "__") {
			continue
		}
		if definition == nil || definition.Description != origin.Description || definition.Description != graphtest.At(one, "description") && !definition.BuiltIn {
			t.Errorf("%s differs", name)
			continue
		}
		if got, want := definition.Directives.ForName("oneOf") != nil, graphtest.At(one, "isOneOf") == true; got != want {
			t.Errorf("%s @oneOf: %v, want %v", name, got, want)
		}
		fields, _ := graphtest.At(one, "fields").([]any)
		for _, one := range fields {
			name, _ := graphtest.At(one, "name").(string)
			field, before := definition.Fields.ForName(name), origin.Fields.ForName(name)
			want := before.Description
			if requires := before.Directives.ForName("requires"); requires != nil {
				want += " Needs `" + requires.Arguments.ForName("permission").Value.Raw + "`."
				needs++
			}
			if field.Description != want || graphtest.At(one, "description") != want || field.Type.String() != before.Type.String() ||
				len(field.Arguments) != len(before.Arguments) || len(field.Directives) != len(before.Directives) {
				t.Errorf("%s.%s differs: %q, %q", definition.Name, name, field.Description, graphtest.At(one, "description"))
			}
		}
	}
	if needs < 50 {
		t.Errorf("only %d fields need a permission", needs)
	}
}

// Caches ask again, and get the schema only if it is another one.
func TestSDLIsCached(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	etag := askSDL(t, b, nil).Header().Get("Etag")
	again := askSDL(t, b, http.Header{"If-None-Match": {etag}})
	if again.Code != http.StatusNotModified || etag == "" || again.Body.Len() > 0 || again.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d with ETag %s: %v", again.Code, etag, again.Header())
	}
}

// Where introspection is closed, the schema is for clients with a key that works.
func TestSDLIsClosedWithIntrospection(t *testing.T) {
	t.Parallel()
	open := graphtest.New(t)
	closed := open.WithOptions(t, transport.Options{})
	nothing := open.Holding(t, "")
	for name, c := range map[string]struct {
		server *graphtest.Server
		key    string
		status int
	}{
		"open":                   {open, "", http.StatusOK},
		"open, unknown key":      {open, "rk_" + strings.Repeat("x", 43), http.StatusUnauthorized},
		"closed":                 {closed, "", http.StatusUnauthorized},
		"closed, unknown key":    {closed, "rk_" + strings.Repeat("x", 43), http.StatusUnauthorized},
		"closed, administrator":  {closed, open.Key, http.StatusOK},
		"closed, key of nothing": {closed, nothing, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if c.key != "" {
				header.Set("Authorization", "Bearer "+c.key)
			}
			answer := askSDL(t, c.server, header)
			if isSchema := strings.Contains(answer.Body.String(), "type Query"); answer.Code != c.status || isSchema != (c.status == http.StatusOK) {
				t.Errorf("%d: %.200s", answer.Code, answer.Body)
			}
			if c.status != http.StatusOK && (answer.Header().Get("Www-Authenticate") == "" || !strings.Contains(answer.Body.String(), "UNAUTHENTICATED")) {
				t.Errorf("%v %s", answer.Header(), answer.Body)
			}
		})
	}
}
