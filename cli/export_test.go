package cli_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

// Exports come to the standard output or into a file, which nobody else may read, and which
// is there as a whole or not at all.
func TestExport(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t).Listen(t)
	b.Ask(t, graphtest.SmallBusiness)
	dir := t.TempDir()
	file := filepath.Join(dir, "users.csv")
	address := b.Issuer + "/graphql"
	const header = "roster_id,email,email_verified,phone,username,first_name,last_name,picture_url,id,status,external_organization_id,role_keys,permission_keys,properties"
	for _, c := range []struct {
		name, key, local string
		args             []string
		code             int
		// out and told begin and have that text; file is what the file begins with.
		out, told, file string
	}{
		{"to the standard output", b.Key, "", []string{"-url", address}, 0, header + "\nuser_", "", ""},
		{"the path is known", b.Key, "", []string{"-url", b.Issuer + "/"}, 0, header + "\nuser_", "", ""},
		{"with the key of the data folder", "", b.Key, []string{"-url", address}, 0, header, "", ""},
		{"of an organization", b.Key, "", []string{"-url", address, "-organization", "globex", "-hashes"}, 0, header + ",hashed_password\n", "", ""},
		{"refused: no file", "rk_" + strings.Repeat("x", 43), "", []string{"-url", address, "-o", file}, 1, "", "UNAUTHENTICATED", ""},
		{"an unknown organization", b.Key, "", []string{"-url", address, "-organization", "none"}, 1, "", "organization: There is no such organization. (NOT_FOUND)", ""},
		{"into a file", b.Key, "", []string{"-url", address, "-o", file, "-format", "NDJSON"}, 0, "", "", `{"roster_id":"user_`},
		{"refused: the file stays", "rk_" + strings.Repeat("x", 43), "", []string{"-url", address, "-o", file}, 1, "", "UNAUTHENTICATED", `{"roster_id":"user_`},
		{"over the file", b.Key, "", []string{"-url", address, "-o", file, "-format", "csv"}, 0, "", "", header},
		{"no folder", b.Key, "", []string{"-url", address, "-o", filepath.Join(dir, "none", "x")}, 1, "", "no such file", header},
		{"another server", b.Key, "", []string{"-url", b.Issuer + "/signin"}, 1, "", "no answer of Roster's", header},
		{"no server", b.Key, "", []string{"-url", "http://127.0.0.1:1"}, 1, "", "refused", header},
		{"an unknown format", b.Key, "", []string{"-url", address, "-format", "xml"}, 2, "", "-format is one of csv, ndjson", header},
		{"an unknown flag", b.Key, "", []string{"-x"}, 2, "", "-help lists", header},
		{"an argument too many", b.Key, "", []string{"x"}, 2, "", "belongs to no flag", header},
		{"no address", b.Key, "", []string{"-url", "localhost:8080"}, 2, "", "-url is an address", header},
		{"no key", "", "", []string{"-url", address}, 2, "", "set ROSTER_KEY", header},
		{"no key of the data folder for others", "", b.Key, []string{"-url", "https://accounts.example.com/graphql"}, 2, "", "set ROSTER_KEY to an API key of accounts.example.com", header},
		{"help", "", "", []string{"-help"}, 0, "roster export", "", header},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := command{key: c.key, localKey: c.local}
			if code := run.run(t.Context(), append([]string{"export"}, c.args...)...); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, run.told.String())
			}
			if out, told := run.out.String(), run.told.String(); !strings.HasPrefix(out, c.out) || c.out == "" && out != "" || !strings.Contains(told, c.told) {
				t.Errorf("printed %q and told %q, want %q and %q", out, told, c.out, c.told)
			}
			content, _ := os.ReadFile(file)
			if !strings.HasPrefix(string(content), c.file) || c.file == "" && len(content) > 0 {
				t.Errorf("the file has %q, want %q", content, c.file)
			}
		})
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("others may read the file:", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Error("files are left:", left)
	}
}

// A file that breaks off is not there, and no error tells the link.
func TestExportThatBreaksOff(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t).Listen(t)
	b.Ask(t, graphtest.SmallBusiness)
	target, err := url.Parse(b.Issuer)
	graphtest.Must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var handler http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/exports/") {
			proxy.ServeHTTP(w, r)
			return
		}
		_, _ = w.Write([]byte("roster_id,email\n"))
		graphtest.Must(t, http.NewResponseController(w).Flush())
		panic(http.ErrAbortHandler)
	}
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	dir := t.TempDir()
	// The link is to the server itself: the proxy answers in its name.
	proxy.ModifyResponse = func(r *http.Response) error { return replaceBody(r, b.Issuer, web.URL) }
	run := command{key: b.Key}
	if code := run.run(t.Context(), "export", "-url", web.URL+"/graphql", "-o", filepath.Join(dir, "users.csv")); code != 1 || !strings.Contains(run.told.String(), "broke off") {
		t.Errorf("exit code %d: %s", code, run.told.String())
	}
	if strings.Contains(run.told.String(), "/exports/") {
		t.Error("the link is told:", run.told.String())
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Error("files are left:", left)
	}
}

// replaceBody puts one text in the place of another in the body of an answer.
func replaceBody(r *http.Response, old, instead string) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(old), []byte(instead))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
