package main

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roster/signin/browser/browsertest"
)

var snippetPattern = regexp.MustCompile("(?s)```js\n(.*?)```")

// The page that docs/signin.md shows signs a person of the demo business in, from another
// origin of the same site, in a browser.
func TestSnippetOfSigningIn(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Program(t, "chromium")
	document, err := os.ReadFile("docs/signin.md")
	must(t, err)
	snippet := string(snippetPattern.FindSubmatch(document)[1])
	var script string // is set before the first request
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<pre></pre><script type="module">const say = text => { document.querySelector("pre").textContent = text }
addEventListener("unhandledrejection", event => say("failed: " + event.reason))
%s
say("signed in: " + JSON.stringify(viewer))</script>`, script)
	}))
	t.Cleanup(app.Close)
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	must(t, err)
	p := setup(t).withCluster()
	r := p.start("-cors-origins=http://localhost:" + port)
	password, err := demoPasswordFile(p.data()).read()
	must(t, err)
	script = fmt.Sprintf("const email = %q, password = %q, choose = organizations => organizations.find(one => one.code === %q).code\n", "ada.lovelace@acme.example", password.Reveal(), "globex") +
		strings.ReplaceAll(snippet, "http://localhost:8080", r.url)
	app.Start()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	browser := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(t.TempDir(), "browser"),
		"--virtual-time-budget=20000", "--dump-dom", "http://localhost:"+port)
	shown, err := browser.Output()
	must(t, err)
	const want = `signed in: {"user":{"name":"Ada Lovelace"},"organization":{"code":"globex"},"permissions":["projects:comment"`
	if !strings.Contains(html.UnescapeString(string(shown)), want) {
		t.Errorf("the page shows %s\nwant %s", shown, want)
	}
	r.stop()
}
