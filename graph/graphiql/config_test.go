package graphiql

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"roster/secret"
)

const testKey = "rk_0123456789abcdef0123456789abcdef"

func TestConfigForTheDeveloper(t *testing.T) {
	t.Parallel()
	o := Options{Endpoint: "/api", AdminKey: secret.New(testKey), Examples: Examples()}
	answer := get(t, o, "/graphiql/config.json", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") })
	wantHeader(t, answer, "Cache-Control", "no-store")
	wantHeader(t, answer, "Content-Type", "application/json")
	var c config
	if err := json.NewDecoder(answer.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	if c.Endpoint != "/api" || c.Headers["Authorization"] != "Bearer "+testKey || len(c.Examples) != len(o.Examples) {
		t.Errorf("got %+v", c)
	}
}

func TestConfigWithoutKeyOrExamples(t *testing.T) {
	t.Parallel()
	body, _ := io.ReadAll(get(t, Options{}, "/graphiql/config.json", nil).Body)
	if want := `{"endpoint":"/graphql","headers":{},"examples":null}`; strings.TrimSpace(string(body)) != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestConfigIsNotForOtherSites(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][2]string{
		"cross-site":          {"Sec-Fetch-Site", "cross-site"},
		"same-site":           {"Sec-Fetch-Site", "same-site"},
		"typed or linked":     {"Sec-Fetch-Site", "none"},
		"old browser":         {"Origin", "https://elsewhere.example"},
		"sandboxed":           {"Origin", "null"},
		"another port's page": {"Origin", "http://localhost:3000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := get(t, Options{AdminKey: secret.New(testKey)}, "/graphiql/config.json",
				func(r *http.Request) { r.Header.Set(header[0], header[1]) })
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != http.StatusForbidden || strings.Contains(string(body), testKey) {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
			wantHeader(t, answer, "Cache-Control", "no-store")
		})
	}
}

func TestKeyStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		host, peer, header string
		hasKey             bool
	}{
		"localhost":          {host: "localhost:8080", hasKey: true},
		"upper case":         {host: "LocalHost", hasKey: true},
		"below localhost":    {host: "roster.localhost:8080", hasKey: true},
		"IPv4":               {host: "127.0.0.1:8080", hasKey: true},
		"IPv6":               {host: "[::1]:8080", peer: "[::1]:50000", hasKey: true},
		"IPv6 without port":  {host: "[::1]", hasKey: true},
		"rebound name":       {host: "evil.example:8080"},
		"lookalike":          {host: "localhost.evil.example"},
		"lookalike address":  {host: "127.0.0.1.evil.example:8080"},
		"network address":    {host: "192.168.1.5:8080"},
		"no host":            {host: ""},
		"name claimed afar":  {host: "localhost:8080", peer: "192.168.1.9:50000"},
		"through a proxy":    {host: "localhost:8080", header: "X-Forwarded-For"},
		"unreadable address": {host: "localhost:8080", peer: "@"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := get(t, Options{AdminKey: secret.New(testKey)}, "/graphiql/config.json", func(r *http.Request) {
				r.Host = c.host
				if c.peer != "" {
					r.RemoteAddr = c.peer
				}
				if c.header != "" {
					r.Header.Set(c.header, "203.0.113.7")
				}
			})
			body, _ := io.ReadAll(answer.Body)
			if hasKey := strings.Contains(string(body), testKey); answer.StatusCode != http.StatusOK || hasKey != c.hasKey {
				t.Errorf("status %d, with the key: %t", answer.StatusCode, hasKey)
			}
		})
	}
}

func TestNoAssetContainsTheKey(t *testing.T) {
	t.Parallel()
	for name := range assets {
		path := "/graphiql/" + name
		if name == "index.html" {
			path = "/"
		}
		body, _ := io.ReadAll(get(t, Options{AdminKey: secret.New(testKey)}, path, nil).Body)
		if strings.Contains(string(body), testKey) {
			t.Errorf("%s contains the key", path)
		}
	}
}
