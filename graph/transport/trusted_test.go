package transport_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"roster/graph"
	"roster/graph/graphtest"
	"roster/graph/transport"
)

func TestPersistedAndTrustedDocuments(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const trusted = "query Trusted { __typename }"
	for name, manifest := range map[string]string{
		"codegen": `{"abc":` + graphtest.Quote(trusted) + `}`,
		"Apollo":  `{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"abc","name":"Trusted","type":"query","body":` + graphtest.Quote(trusted) + `}]}`,
	} {
		documents, err := transport.ReadTrustedDocuments([]byte(manifest))
		graphtest.Must(t, err)
		open, closed := b.WithOptions(t, transport.Options{Trusted: documents}), b.WithOptions(t, transport.Options{Trusted: documents, TrustedOnly: transport.AllClients})
		graphtest.Must(t, transport.CheckTrusted(transport.Options{Schema: graph.NewSchema(nil, nil, nil), Trusted: documents}))
		send := func(b *graphtest.Server, body object) *graphtest.Answer {
			t.Helper()
			text, err := json.Marshal(body)
			graphtest.Must(t, err)
			a := b.Send(t, http.MethodPost, "/graphql", graphtest.Headers(b.Key), text)
			checkAnswer(t, a)
			return a
		}
		const other = "query Other { __typename }"
		sum := sha256.Sum256([]byte(other))
		hash := hex.EncodeToString(sum[:])
		named := func(id string) object { return object{"persistedQuery": object{"version": 1, "sha256Hash": id}} }
		for _, c := range []struct {
			handler *graphtest.Server
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
			t.Run(fmt.Sprint(name, c.body), func(t *testing.T) {
				if a := send(c.handler, c.body); a.Status != c.status || a.Codes() != c.code {
					t.Errorf("answers %d %s, want %d %s", a.Status, a.Body, c.status, c.code)
				}
			})
		}
		if a := send(open, object{"extensions": named("unknown")}); !strings.Contains(string(a.Body), `"PersistedQueryNotFound"`) {
			t.Errorf("%s", a.Body)
		}
	}
	for _, manifest := range []string{"", "[]", `{"a":7}`, `{"format":"other","version":1}`} {
		if documents, err := transport.ReadTrustedDocuments([]byte(manifest)); err == nil {
			t.Errorf("%s: %v", manifest, documents)
		}
	}
	if transport.CheckTrusted(transport.Options{Schema: graph.NewSchema(nil, nil, nil), Trusted: transport.TrustedDocuments{"a": "{nothing}"}}) == nil {
		t.Error("a trusted document that is not valid")
	}
}

// Whoever is held to the trusted documents gets no others, and everybody else
// does.
func TestTrustedOnly(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	const trusted, other = "query Trusted { __typename }", "query Other { __typename }"
	clients := map[string]http.Header{
		"a script": graphtest.Headers(b.Key), "a page": graphtest.Headers(b.Key), "a page without a key": graphtest.Headers(""), "a page that reads": graphtest.Headers(b.Key), "nobody": graphtest.Headers(""),
	}
	clients["a page"].Set("Origin", "https://app.example.com")
	clients["a page without a key"].Set("Origin", "null")
	clients["a page that reads"].Set("Sec-Fetch-Site", "same-origin")
	const pages = "a page, a page without a key, a page that reads"
	for only, held := range map[string]string{
		"browsers": pages, "anonymous": "nobody, a page without a key", "keys": "a script, a page, a page that reads",
		"browsers, anonymous": pages + ", nobody", "all": pages + ", nobody, a script", "": "",
	} {
		options := transport.Options{Trusted: transport.TrustedDocuments{"abc": trusted}}
		if only != "" {
			var err error
			options.TrustedOnly, err = transport.ParseClients(only)
			graphtest.Must(t, err)
		}
		server := b.WithOptions(t, options)
		for name, header := range clients {
			for body, wanted := range map[string]bool{
				`{"documentId":"abc"}`: true, `{"query":` + graphtest.Quote(trusted) + `}`: true,
				`{"query":` + graphtest.Quote(other) + `}`: !slices.Contains(strings.Split(held, ", "), name),
			} {
				a := server.Send(t, http.MethodPost, "/graphql", header, []byte(body))
				if ok := a.Status == http.StatusOK && len(a.Errors) == 0; ok != wanted || !ok && (a.Status != http.StatusForbidden || a.Codes() != "FORBIDDEN") {
					t.Errorf("only %s: %s with %s gets %d %s", only, name, body, a.Status, a.Body)
				}
				if strings.Contains(string(a.Body), "Other") {
					t.Errorf("what was sent is repeated: %s", a.Body)
				}
			}
		}
	}
	for _, text := range []string{"", "browser", "browsers,", "ALL"} {
		if clients, err := transport.ParseClients(text); err == nil {
			t.Errorf("%q is %b", text, clients)
		}
	}
}
