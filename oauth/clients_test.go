package oauth_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roster/graph/graphtest"
	"roster/signin/browser/browsertest"
)

var jsBlock = regexp.MustCompile("(?s)```js\n(.*?)```")

// The snippets of docs/applications.md sign people in, with libraries as they are: a page of
// another site in Chromium, a server, a native application and a machine in Node.
func TestDocumentedClients(t *testing.T) {
	t.Parallel()
	const clients = "testdata/clients"
	node, chromium, modules := browsertest.Program(t, "node"), browsertest.Program(t, "chromium"), browsertest.Modules(t, clients)
	page, err := os.ReadFile("../docs/applications.md")
	graphtest.Must(t, err)
	snippets := jsBlock.FindAllStringSubmatch(string(page), -1)
	names := []string{"spa.mjs", "server.mjs", "native.mjs", "machine.mjs"}
	if len(snippets) != len(names) {
		t.Fatalf("docs/applications.md has %d snippets", len(snippets))
	}
	folder := t.TempDir()
	graphtest.Must(t, os.Symlink(modules, folder+"/node_modules"))
	for i, name := range names {
		graphtest.Must(t, os.WriteFile(filepath.Join(folder, name), []byte(snippets[i][1]), 0o600))
	}

	w := newWorld(t)
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	_, port, _ := net.SplitHostPort(site.Listener.Addr().String())
	at := "http://localhost:" + port // another site than 127.0.0.1
	urls := object{"redirectUrls": []string{at + "/callback.html"}, "logoutUrls": []string{at + "/bye.html"}}
	spa, web := w.create("SPA", urls), w.create("WEB", urls)
	native := w.create("NATIVE", object{"redirectUrls": []string{"http://127.0.0.1/callback"}})
	machine := w.create("MACHINE", object{"permissions": graphtest.Refs("key", "invoices:read"), "audiences": []string{api}})
	mux.Handle("/lib/", http.StripPrefix("/lib/", http.FileServer(http.Dir(modules))))
	mux.HandleFunc("/spa.mjs", func(rw http.ResponseWriter, r *http.Request) { http.ServeFile(rw, r, folder+"/spa.mjs") })
	mux.HandleFunc("/settings.js", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "window.settings = {issuer: %q, clientId: %q, callback: %q, bye: %q}", w.Issuer, spa.id, at+"/callback.html", at+"/bye.html")
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".html") {
			http.NotFound(rw, r)
			return
		}
		http.ServeFile(rw, r, clients+"/spa.html")
	})
	shown := func(a app) object { return object{"id": a.id, "secret": a.secret} }
	settings, err := json.Marshal(object{
		"issuer": w.Issuer, "app": at, "api": api, "folder": folder, "chromium": chromium, "email": ada, "password": password,
		"web": shown(web), "native": shown(native), "machine": shown(machine),
	})
	graphtest.Must(t, err)
	walk := exec.CommandContext(t.Context(), node, clients+"/walk.mjs", string(settings))
	if said, err := walk.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}
