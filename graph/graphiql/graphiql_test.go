package graphiql

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// get returns the response to a request of a program on this machine, after change
// has edited the request.
func get(t *testing.T, o Options, target string, change func(*http.Request)) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "localhost:8080"
	r.RemoteAddr = "127.0.0.1:50000"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	Handler(o).ServeHTTP(w, r)
	return w.Result()
}

func TestPageIsNeverCachedAndConfined(t *testing.T) {
	t.Parallel()
	answer := get(t, Options{}, "/", nil)
	wantHeader(t, answer, "Content-Type", "text/html; charset=utf-8")
	wantHeader(t, answer, "Cache-Control", "no-store")
	wantHeader(t, answer, "Content-Security-Policy", policy)
}

func TestEachAssetHasItsType(t *testing.T) {
	t.Parallel()
	want := map[string]string{"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
	for name, a := range assets {
		if name == "index.html" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := get(t, Options{}, "/graphiql/"+name, nil)
			if answer.StatusCode != http.StatusOK || answer.ContentLength == 0 {
				t.Errorf("status %d, %d bytes", answer.StatusCode, answer.ContentLength)
			}
			wantHeader(t, answer, "Content-Type", want[name[strings.LastIndex(name, ".")+1:]])
			wantHeader(t, answer, "X-Content-Type-Options", "nosniff")
			again := get(t, Options{}, "/graphiql/"+name, func(r *http.Request) { r.Header.Set("If-None-Match", a.etag) })
			if again.StatusCode != http.StatusNotModified {
				t.Errorf("with its ETag: status %d", again.StatusCode)
			}
		})
	}
}

func TestOnlyVersionedAssetsAreCached(t *testing.T) {
	t.Parallel()
	wantHeader(t, get(t, Options{}, "/graphiql/playground.js", nil), "Cache-Control", "no-cache")
	wantHeader(t, get(t, Options{}, "/graphiql/graphiql-4.1.2/graphiql.min.js", nil),
		"Cache-Control", "public, max-age=31536000, immutable")
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/graphiql/", "/graphiql/graphiql-4.1.2/", "/graphiql/index.html", "/graphiql/../assets.go", "/other"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			if status := get(t, Options{}, path, nil).StatusCode; status == http.StatusOK {
				t.Errorf("status %d", status)
			}
		})
	}
	post := get(t, Options{}, "/", func(r *http.Request) { r.Method = http.MethodPost })
	if post.StatusCode != http.StatusMethodNotAllowed || post.Header.Get("Allow") == "" {
		t.Errorf("POST answers %d, Allow %q", post.StatusCode, post.Header.Get("Allow"))
	}
}

// TestPageLoadsNothingFromElsewhere expects that the page works without internet, and
// under a policy that forbids inline scripts and styles.
func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	page := string(assets["index.html"].body)
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 8 {
		t.Fatalf("only %d links found", len(links))
	}
	used := map[string]bool{"index.html": true}
	for _, link := range links {
		name, inside := strings.CutPrefix(link[1], "/graphiql/")
		if _, found := assets[name]; !inside || !found {
			t.Errorf("%s is not in the binary", link[1])
		}
		used[name] = true
	}
	for name := range assets {
		if !used[name] {
			t.Errorf("%s is in the binary, but the page does not load it", name)
		}
	}
	if found := regexp.MustCompile(`(?i)//[a-z]|<style|style=|<script>| on[a-z]+=`).FindString(page); found != "" {
		t.Errorf("the page contains %q", found)
	}
	for _, name := range []string{"playground.js", "playground.css", "graphiql-4.1.2/graphiql.min.css", "explorer-4.0.6/style.css"} {
		loads := regexp.MustCompile(`(?i)@import|url\(["']?(https?:)?//|(fetch|import)\(["'](https?:)?//`)
		if found := loads.Find(assets[name].body); found != nil {
			t.Errorf("%s contains %q", name, found)
		}
	}
}

func TestEachFileHasAContentType(t *testing.T) {
	t.Parallel()
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			t.Error(err)
		} else if !entry.IsDir() && contentTypes[name[strings.LastIndex(name, "."):]] == "" {
			t.Errorf("%s has no content type", name)
		}
		return nil
	})
}

func wantHeader(t *testing.T, answer *http.Response, name, want string) {
	t.Helper()
	if got := answer.Header.Get(name); got != want {
		t.Errorf("%s is %q, want %q", name, got, want)
	}
}
