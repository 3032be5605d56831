package pages_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"roster/graph/graphtest"
	"roster/signin/browser/browsertest"
)

// The pages work in a browser without scripts, by keyboard, without a message in its
// console, and without anything that axe finds serious. ROSTER_SCREENSHOTS names a folder
// for pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	const folder = "testdata/browser"
	node, chromium := browsertest.Program(t, "node"), browsertest.Program(t, "chromium")
	browsertest.Modules(t, folder)
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	b := graphtest.New(t).WithReturnOrigins(t, "http://localhost:"+port)
	b.Ask(t, graphtest.SmallBusiness)
	b.Ask(t, `mutation { updateSettings(input: {branding: {name: "Example", colour: "#0f766e", privacyUrl: "https://example.com/privacy", termsUrl: "https://example.com/terms"}}) { settings { branding { name } } } }`)
	b.SignIn.Issuer = web.URL
	zitadel(t, b, web.URL+"/signin/zitadel/callback")
	mux.Handle("/signin", b.Pages)
	mux.Handle("/signin/", b.Pages)
	mux.HandleFunc("/test/code", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		if mails := b.Mail.To(r.FormValue("to")); len(mails) >= n {
			fmt.Fprint(w, mails[n-1].Code)
		}
	})
	mux.HandleFunc("/test/ask", func(w http.ResponseWriter, r *http.Request) {
		mutation, _ := io.ReadAll(r.Body)
		if a := b.As(t, b.Key, string(mutation), nil); len(a.Errors) > 0 {
			http.Error(w, string(a.Body), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("/test/invitation", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(invite(t, b, r.FormValue("to"), r.FormValue("mailed") == "true")))
	})
	mux.HandleFunc("/test/app", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the application") })
	shots := os.Getenv("ROSTER_SCREENSHOTS")
	walk := exec.CommandContext(t.Context(), node, folder+"/walk.mjs", web.URL, chromium, strconv.FormatBool(*long || shots != ""), shots)
	if said, err := walk.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

// zitadel makes an identity provider that is Zitadel's example, with its users test-user@127.0.0.1
// and test-user2, which sends browsers back to that address.
func zitadel(t *testing.T, b *graphtest.Server, callback string) {
	t.Helper()
	var provider http.Handler
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(web.Close)
	storage.RegisterClients(storage.WebClient("roster", "secret", callback))
	provider = exampleop.SetupServer(web.URL, storage.NewStorage(storage.NewUserStore(web.URL)), slog.New(slog.DiscardHandler), false)
	b.Ask(t, `mutation($issuer: String!) { createIdentityProvider(input: {key: "zitadel", displayName: "Zitadel", kind: OIDC, issuer: $issuer, clientId: "roster", clientSecret: "secret"}) { provider { id } } }`,
		graphtest.Object{"issuer": web.URL})
}
