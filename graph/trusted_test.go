package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"roster/graph"
)

func TestPersistedAndTrustedDocuments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const trusted = "query Trusted { __typename }"
	for name, manifest := range map[string]string{
		"codegen": `{"abc":` + quoted(trusted) + `}`,
		"Apollo":  `{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"abc","name":"Trusted","type":"query","body":` + quoted(trusted) + `}]}`,
	} {
		documents, err := graph.ReadTrustedDocuments([]byte(manifest))
		must(t, err)
		open, closed := b.withOptions(t, graph.Options{Trusted: documents}), b.withOptions(t, graph.Options{Trusted: documents, TrustedOnly: graph.AllClients})
		must(t, graph.CheckTrusted(graph.Options{Trusted: documents}))
		send := func(b *testBundle, body object) *answer {
			t.Helper()
			text, err := json.Marshal(body)
			must(t, err)
			a := b.send(t, http.MethodPost, "/graphql", headers(b.key), text)
			checkAnswer(t, a)
			return a
		}
		const other = "query Other { __typename }"
		sum := sha256.Sum256([]byte(other))
		hash := hex.EncodeToString(sum[:])
		named := func(id string) object { return object{"persistedQuery": object{"version": 1, "sha256Hash": id}} }
		for _, c := range []struct {
			handler *testBundle
			body    object
			status  int
			code    string
		}{
			{open, object{"documentId": "abc"}, 200, ""},
			{open, object{"documentId": "sha256:abc"}, 200, ""},
			{open, object{"extensions": named("abc")}, 200, ""},
			{open, object{"query": other}, 200, ""},
			{open, object{"extensions": named(hash)}, 422, "NOT_FOUND"},
			{open, object{"query": "{viewer{__typename}}", "extensions": named(hash)}, 400, "INVALID"},
			{open, object{"query": other, "extensions": named(hash)}, 200, ""},
			{open, object{"extensions": named(hash)}, 200, ""},
			{open, object{"documentId": 7}, 400, "INVALID"},
			{closed, object{"documentId": "abc"}, 200, ""},
			{closed, object{"query": trusted}, 200, ""},
			{closed, object{"query": other}, 403, "FORBIDDEN"},
			{closed, object{"query": other, "extensions": named(hash)}, 403, "FORBIDDEN"},
			{closed, object{"extensions": named(hash)}, 403, "FORBIDDEN"},
			{closed, object{}, 403, "FORBIDDEN"},
		} {
			if a := send(c.handler, c.body); a.Status != c.status || a.codes() != c.code {
				t.Errorf("%s: %v answers %d %s, want %d %s", name, c.body, a.Status, a.Body, c.status, c.code)
			}
		}
		if a := send(open, object{"extensions": named("unknown")}); !strings.Contains(string(a.Body), `"PersistedQueryNotFound"`) {
			t.Errorf("%s", a.Body)
		}
	}
	for _, manifest := range []string{"", "[]", `{"a":7}`, `{"format":"other","version":1}`} {
		if documents, err := graph.ReadTrustedDocuments([]byte(manifest)); err == nil {
			t.Errorf("%s: %v", manifest, documents)
		}
	}
	if graph.CheckTrusted(graph.Options{Trusted: graph.TrustedDocuments{"a": "{nothing}"}}) == nil {
		t.Error("a trusted document that is not valid")
	}
}

// Whoever is held to the trusted documents gets no others, and everybody else
// does.
func TestTrustedOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const trusted, other = "query Trusted { __typename }", "query Other { __typename }"
	clients := map[string]http.Header{
		"a script": headers(b.key), "a page": headers(b.key), "a page without a key": headers(""), "a page that reads": headers(b.key), "nobody": headers(""),
	}
	clients["a page"].Set("Origin", "https://app.example.com")
	clients["a page without a key"].Set("Origin", "null")
	clients["a page that reads"].Set("Sec-Fetch-Site", "same-origin")
	const pages = "a page, a page without a key, a page that reads"
	for only, held := range map[string]string{
		"browsers": pages, "anonymous": "nobody, a page without a key", "keys": "a script, a page, a page that reads",
		"browsers, anonymous": pages + ", nobody", "all": pages + ", nobody, a script", "": "",
	} {
		options := graph.Options{Trusted: graph.TrustedDocuments{"abc": trusted}}
		if only != "" {
			var err error
			options.TrustedOnly, err = graph.ParseClients(only)
			must(t, err)
		}
		server := b.withOptions(t, options)
		for name, header := range clients {
			for body, wanted := range map[string]bool{
				`{"documentId":"abc"}`: true, `{"query":` + quoted(trusted) + `}`: true,
				`{"query":` + quoted(other) + `}`: !slices.Contains(strings.Split(held, ", "), name),
			} {
				a := server.send(t, http.MethodPost, "/graphql", header, []byte(body))
				if ok := a.Status == http.StatusOK && len(a.Errors) == 0; ok != wanted || !ok && (a.Status != http.StatusForbidden || a.codes() != "FORBIDDEN") {
					t.Errorf("only %s: %s with %s gets %d %s", only, name, body, a.Status, a.Body)
				}
				if strings.Contains(string(a.Body), "Other") {
					t.Errorf("what was sent is repeated: %s", a.Body)
				}
			}
		}
	}
	for _, text := range []string{"", "browser", "browsers,", "ALL"} {
		if clients, err := graph.ParseClients(text); err == nil {
			t.Errorf("%q is %b", text, clients)
		}
	}
}
