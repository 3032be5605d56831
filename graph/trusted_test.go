package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
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
		open, closed := b.withOptions(t, graph.Options{Trusted: documents}), b.withOptions(t, graph.Options{Trusted: documents, TrustedOnly: true})
		must(t, open.handler.CheckTrusted())
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
	if b.withOptions(t, graph.Options{Trusted: graph.TrustedDocuments{"a": "{nothing}"}}).handler.CheckTrusted() == nil {
		t.Error("a trusted document that is not valid")
	}
}
