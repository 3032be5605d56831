package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roster/cli"
)

// Commands send ROSTER_KEY, or else the key in the data folder, if nobody else may know it.
func TestClientsKey(t *testing.T) {
	t.Parallel()
	kept, given := "rk_"+strings.Repeat("k", 43), "rk_"+strings.Repeat("g", 43)
	good, bad := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(good, "admin-key"), []byte(kept+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(bad, "admin-key"), []byte(kept+"\n"), 0o644))
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		sent string
		code int
	}{
		"the variable":            {map[string]string{"ROSTER_KEY": given, "ROSTER_DATA_DIR": good}, nil, given, 1},
		"the data folder":         {map[string]string{"ROSTER_DATA_DIR": good}, nil, kept, 1},
		"the data folder by flag": {nil, []string{"-data-dir", good}, kept, 1},
		"a file that others read": {map[string]string{"ROSTER_DATA_DIR": bad}, nil, "", 2},
		"no file":                 {map[string]string{"ROSTER_DATA_DIR": t.TempDir()}, nil, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := ""
			web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				sent = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			}))
			t.Cleanup(web.Close)
			var out, told bytes.Buffer
			err := run(t.Context(), append([]string{"export", "-url", web.URL}, c.args...), func(name string) string { return c.env[name] }, &out, &told)
			if code := cli.ExitCode(err); code != c.code || sent != c.sent {
				t.Errorf("exit code %d, sent %q: %v", code, sent, err)
			}
			if err != nil && strings.Contains(err.Error(), "rk_") {
				t.Error("the key is told:", err)
			}
		})
	}
}

// Each command that cannot begin says what is missing, in one line, and by its exit code whether
// it was called rightly.
func TestCommandsThatCannotBegin(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "localhost:0")
	must(t, err)
	nobody := "http://" + listener.Addr().String()
	must(t, listener.Close())
	env := map[string]string{keyVariable: "rk_x"}
	for command, want := range map[string]struct {
		code int
		part string
	}{
		"keys":                              {2, "list or rotate"},
		"keys foo":                          {2, "list or rotate"},
		"foo":                               {1, "export, import, keys, version"},
		"export -url " + nobody:             {1, "no server is found at " + nobody},
		"import -plan client_test.go":       {1, "no server is found at " + nobody},
		"import -cancel import_01h455vb4p":  {1, "no server is found at " + nobody},
		"import -plan none.csv":             {2, "none.csv"},
		"import -plan -apply x.csv":         {2, "exclude one another"},
		"export -format xml -url " + nobody: {2, "csv, ndjson"},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(command)
			if args[0] == "import" {
				args = append(args, "-url", nobody)
			}
			var out, said strings.Builder
			err := run(t.Context(), args, func(name string) string { return env[name] }, &out, &said)
			if cli.ExitCode(err) != want.code || err == nil || !strings.Contains(err.Error(), want.part) || out.String()+said.String() != "" {
				t.Errorf("ends with %d, %v\n%s%s", cli.ExitCode(err), err, &out, &said)
			}
		})
	}
	for _, help := range []string{"keys -help", "keys list -h", "import -help", "export -help"} {
		t.Run(help, func(t *testing.T) {
			t.Parallel()
			var out, said strings.Builder
			err := run(t.Context(), strings.Fields(help), func(name string) string { return env[name] }, &out, &said)
			if command, _, _ := strings.Cut(help, " "); cli.ExitCode(err) != 0 || !strings.HasPrefix(out.String(), "roster "+command) {
				t.Errorf("ends with %v: %s%s", err, &out, &said)
			}
		})
	}
}
