package graphiql

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	answer := get(t, Options{Endpoint: "/api", Examples: Examples()}, "/graphiql/config.json", nil)
	wantHeader(t, answer, "Cache-Control", "no-store")
	wantHeader(t, answer, "Content-Type", "application/json")
	var c config
	if err := json.NewDecoder(answer.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	if c.Endpoint != "/api" || len(c.Examples) != len(Examples()) {
		t.Errorf("got %+v", c)
	}
}

func TestConfigWithoutExamples(t *testing.T) {
	t.Parallel()
	body, _ := io.ReadAll(get(t, Options{}, "/graphiql/config.json", nil).Body)
	if want := `{"endpoint":"/graphql","examples":null}`; strings.TrimSpace(string(body)) != want {
		t.Errorf("got %s, want %s", body, want)
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
