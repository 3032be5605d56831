package main

import (
	"bytes"
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
