package graphiql

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // examples name instants: time stands still here
		answer := get(t, Options{Endpoint: "/api", Demo: true}, "/graphiql/config.json", nil)
		wantHeader(t, answer, "Cache-Control", "no-store")
		wantHeader(t, answer, "Content-Type", "application/json")
		var c config
		if err := json.NewDecoder(answer.Body).Decode(&c); err != nil {
			t.Fatal(err)
		}
		if c.Endpoint != "/api" || !slices.Equal(c.Examples, Examples(true)) {
			t.Errorf("got %+v", c)
		}
	})
}

// TestExamplesWithoutDemo expects that examples for another business do not speak of
// the demo's.
func TestExamplesWithoutDemo(t *testing.T) {
	t.Parallel()
	body, _ := io.ReadAll(get(t, Options{}, "/graphiql/config.json", nil).Body)
	if found := regexp.MustCompile(`(?i)acme|globex|\bada\b|lovelace|billing|\{\{`).Find(body); found != nil || !strings.HasPrefix(string(body), `{"endpoint":"/graphql","examples":[`) {
		t.Errorf("%q in %s", found, body)
	}
}

// TestNothingContainsASecret expects that nothing which the playground serves to
// anybody contains the key or the token, also before a browser has used the link.
func TestNothingContainsASecret(t *testing.T) {
	t.Parallel()
	s := newSessions()
	paths := []string{"/", "/graphiql/config.json", "/graphiql/session"}
	for name := range assets {
		paths = append(paths, "/graphiql/"+name)
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			answer := get(t, Options{Sessions: s}, path, func(r *http.Request) { r.Method = method })
			body, _ := io.ReadAll(answer.Body)
			if strings.Contains(string(body), testKey) || strings.Contains(string(body), s.token) {
				t.Errorf("%s %s contains a secret", method, path)
			}
		}
	}
}
