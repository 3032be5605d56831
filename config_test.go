package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/credential"
	"roster/db/dbtest"
	"roster/secret"
)

// A wrong setting is reported in one line, before the program makes anything.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	const password = "s3cret-w0rd"
	taken, err := net.Listen("tcp", "localhost:0")
	must(t, err)
	t.Cleanup(func() { taken.Close() }) // after the subtests, which are parallel
	manifest := filepath.Join(t.TempDir(), "trusted.json")
	must(t, os.WriteFile(manifest, []byte("{}"), 0o600))
	outdated := filepath.Join(t.TempDir(), "outdated.json")
	must(t, os.WriteFile(outdated, []byte(`{"a":"{ nothing }"}`), 0o600))
	newer := dbtest.DSN(t)
	database, err := pgx.Connect(t.Context(), newer)
	must(t, err)
	_, err = database.Exec(t.Context(), "insert into goose_db_version (version_id, is_applied) values (99999, true); update schema_compatibility set least_version = 99999")
	must(t, errors.Join(err, database.Close(t.Context())))
	for name, test := range map[string]struct {
		env  string // name=value
		args []string
		want string
	}{
		"address without a port":     {"ROSTER_ADDR=localhost", nil, `ROSTER_ADDR (-addr): "localhost" is no address`},
		"address, by flag":           {"ROSTER_ADDR=localhost:0", []string{"-addr", "localhost:65536"}, `ROSTER_ADDR (-addr): "65536" is no port`},
		"address in use":             {"ROSTER_ADDR=" + taken.Addr().String(), nil, "address already in use by another program; choose another one by ROSTER_ADDR (-addr)"},
		"no data folder":             {"", []string{"-data-dir", ""}, "ROSTER_DATA_DIR (-data-dir): must not be empty"},
		"data folder is a file":      {"ROSTER_DATA_DIR=/dev/null", nil, "not a directory"},
		"database":                   {"DATABASE_URL=" + password, nil, "DATABASE_URL (-database-url): not a PostgreSQL connection string"},
		"database with a bad port":   {"", []string{"-database-url", "postgres://roster:" + password + "@localhost:x/roster"}, "DATABASE_URL (-database-url): not a"},
		"database that is not there": {"DATABASE_URL=postgres://roster:" + password + "@localhost:1/roster", nil, "connect to the database"},
		"database of a newer Roster": {"DATABASE_URL=" + newer, nil, "a newer Roster has changed the database, which works with version 99999"},
		"pooler":                     {"ROSTER_DATABASE_POOLER=session", nil, `ROSTER_DATABASE_POOLER (-database-pooler): "session" is not "transaction"`},
		"database without Unicode":   {"DATABASE_URL=" + latinDatabase(t), nil, "the database keeps text in LATIN1"},
		"binaries":                   {"ROSTER_POSTGRES=/nowhere", nil, `ROSTER_POSTGRES (-postgres): "/nowhere" is no folder`},
		"folder without binaries":    {"", []string{"-postgres", "/dev"}, `ROSTER_POSTGRES (-postgres): "/dev" holds no`},
		"administrator's key":        {"ROSTER_ADMIN_KEY=rk_" + password, nil, "ROSTER_ADMIN_KEY (-admin-key): must be rk_ and"},
		"no file of a key":           {"ROSTER_ADMIN_KEY_FILE=/nowhere", nil, "ROSTER_ADMIN_KEY_FILE (-admin-key-file): open /nowhere"},
		"file of another kind":       {"", []string{"-admin-key-file=" + manifest}, "ROSTER_ADMIN_KEY_FILE (-admin-key-file): " + manifest + " holds no API key"},
		"a key and a file":           {"ROSTER_ADMIN_KEY=rk_chosen-by-the-operator-0123456789", []string{"-admin-key-file=" + manifest}, "ROSTER_ADMIN_KEY_FILE (-admin-key-file): ROSTER_ADMIN_KEY is set, too"},
		"secret key":                 {"ROSTER_SECRET_KEY=" + password, nil, "ROSTER_SECRET_KEY (-secret-key): key 1 is not 32 bytes in base64"},
		"second secret key":          {"", []string{"-secret-key", secret.NewKey().Reveal() + "," + password}, "ROSTER_SECRET_KEY (-secret-key): key 2 is not 32 bytes in base64"},
		"demo":                       {"ROSTER_DEMO=perhaps", nil, `ROSTER_DEMO (-demo): "perhaps" is neither true nor false`},
		"public URL":                 {"ROSTER_PUBLIC_URL=accounts.example.com", nil, "ROSTER_PUBLIC_URL (-public-url): "},
		"public URL with a password": {"ROSTER_PUBLIC_URL=https://me:" + password + "@example.com", nil, "ROSTER_PUBLIC_URL (-public-url): "},
		"public URL with a bad port": {"ROSTER_PUBLIC_URL=https://example.com:99999", nil, "ROSTER_PUBLIC_URL (-public-url): "},
		"public URL without a host":  {"ROSTER_PUBLIC_URL=https://:443", nil, "ROSTER_PUBLIC_URL (-public-url): "},
		"origin with a bad port":     {"ROSTER_CORS_ORIGINS=https://app.example.com:99999", nil, "ROSTER_CORS_ORIGINS (-cors-origins): "},
		"dev":                        {"", []string{"-dev", "perhaps"}, `ROSTER_DEV (-dev): "perhaps" is neither true nor false`},
		"origins":                    {"ROSTER_CORS_ORIGINS=https://app.example.com,*", nil, `ROSTER_CORS_ORIGINS (-cors-origins): "*" is no origin`},
		"issuers":                    {"ROSTER_TRUSTED_ISSUERS=https://login.example.com", nil, `ROSTER_TRUSTED_ISSUERS (-trusted-issuers): "https://login.example.com" is no pair such as`},
		"an issuer by http":          {"ROSTER_TRUSTED_ISSUERS=http://login.example.com=api", nil, `"http://login.example.com=api" does not begin with https`},
		"proxies":                    {"ROSTER_TRUSTED_PROXIES=10.0.0.0/8,proxy", nil, `ROSTER_TRUSTED_PROXIES (-trusted-proxies): "proxy" is neither an IP address nor`},
		"origin with a path":         {"", []string{"-cors-origins", "https://app.example.com/app"}, "ROSTER_CORS_ORIGINS (-cors-origins): "},
		"no manifest":                {"ROSTER_TRUSTED_DOCUMENTS=/nowhere", nil, "ROSTER_TRUSTED_DOCUMENTS (-trusted-documents): open /nowhere"},
		"manifest of nothing":        {"ROSTER_TRUSTED_DOCUMENTS=/dev/null", nil, "ROSTER_TRUSTED_DOCUMENTS (-trusted-documents): /dev/null: neither"},
		"manifest of another schema": {"ROSTER_TRUSTED_DOCUMENTS=" + outdated, nil, "ROSTER_TRUSTED_DOCUMENTS (-trusted-documents): " + outdated + ": the trusted document a: "},
		"trusted only":               {"ROSTER_TRUSTED_ONLY=perhaps", []string{"-trusted-documents", manifest}, `ROSTER_TRUSTED_ONLY (-trusted-only): "perhaps" is none of`},
		"trusted without a manifest": {"", []string{"-trusted-only=all"}, "ROSTER_TRUSTED_ONLY (-trusted-only): needs ROSTER_TRUSTED_DOCUMENTS"},
		"cost":                       {"ROSTER_COST_PER_SECOND=0", nil, `ROSTER_COST_PER_SECOND (-cost-per-second): "0" is no number`},
		"staleness":                  {"ROSTER_STALENESS_BOUND=5", nil, `ROSTER_STALENESS_BOUND (-staleness-bound): "5" is no time from`},
		"staleness too short":        {"", []string{"-staleness-bound=499ms"}, `ROSTER_STALENESS_BOUND (-staleness-bound): "499ms" is no time from`},
		"staleness too long":         {"", []string{"-staleness-bound=61s"}, `ROSTER_STALENESS_BOUND (-staleness-bound): "61s" is no time from`},
		"entries":                    {"ROSTER_CACHE_ENTRIES=0", nil, `ROSTER_CACHE_ENTRIES (-cache-entries): "0" is no number from 1`},
		"entries, with a unit":       {"", []string{"-cache-entries=1M"}, `ROSTER_CACHE_ENTRIES (-cache-entries): "1M" is no number from 1`},
		"sender of mails":            {"ROSTER_MAIL_FROM=Example", nil, `ROSTER_MAIL_FROM (-mail-from): "Example" is no address such as`},
		"SMTP without a sender":      {"ROSTER_SMTP_URL=smtp://me:" + password + "@mail.example", nil, "ROSTER_SMTP_URL (-smtp-url): needs ROSTER_MAIL_FROM"},
		"SMTP":                       {"ROSTER_SMTP_URL=http://me:" + password + "@mail.example", []string{"-mail-from=a@example.com"}, "ROSTER_SMTP_URL (-smtp-url): not an address such as smtps://"},
		"no templates":               {"ROSTER_MAIL_TEMPLATES=/nowhere", nil, "ROSTER_MAIL_TEMPLATES (-mail-templates): open /nowhere"},
		"templates of another kind":  {"ROSTER_MAIL_TEMPLATES=" + filepath.Dir(manifest), nil, `ROSTER_MAIL_TEMPLATES (-mail-templates): "trusted.json" is the name of no template`},
		"open, without its address":  {"", []string{"-addr=0.0.0.0:0"}, "ROSTER_PUBLIC_URL (-public-url): needed where others reach the server (ROSTER_ADDR is 0.0.0.0:0)"},
		"unknown flag":               {"", []string{"-perhaps"}, "flag provided but not defined: -perhaps"},
		"flag without a value":       {"", []string{"-addr"}, "flag needs an argument: -addr"},
		"unknown argument":           {"", []string{password}, "there is an argument that is no command (export, import, keys, version)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			env := map[string]string{"ROSTER_ADDR": "localhost:0", "ROSTER_DATA_DIR": filepath.Join(dir, "data")}
			variable, value, _ := strings.Cut(test.env, "=")
			env[variable] = value
			var printed, logged text
			ctx, stop := context.WithTimeout(t.Context(), waitTimeout)
			defer stop()
			err := run(ctx, test.args, func(name string) string { return env[name] }, &printed, &logged)
			if err == nil {
				t.Fatalf("the server has run: %s", &logged)
			}
			said := inOneLine(err.Error())
			if !strings.Contains(said, test.want) || strings.Contains(said, "\n") || printed.String()+logged.String() != "" {
				t.Errorf("the server says %q and %s%s\nwant one line with %q", said, &printed, &logged, test.want)
			}
			if files := names(t, dir); len(files) > 0 {
				t.Errorf("the folder now holds %v", files)
			}
			if strings.Contains(said, password) {
				t.Error("a secret is told")
			}
		})
	}
	p := setup(t)
	p.env = []string{"OTEL_TRACES_EXPORTER=perhaps"} // which telemetry reads from the environment of the process
	p.launch("-addr=localhost:0").wantRefusal("OTEL_TRACES_EXPORTER")
	if files := names(t, p.dir); len(files) > 0 {
		t.Errorf("the folder now holds %v", files)
	}
}

func TestConfigurationDefaults(t *testing.T) {
	t.Parallel()
	const elsewhere = "DATABASE_URL=postgres://db/roster"
	for name, test := range map[string]struct {
		env  string
		args []string
		want config
	}{
		"nothing is set": {"", nil, config{addr: "localhost:8080", dataDir: "./data", demo: true, dev: true}},
		"flags win": {"ROSTER_ADDR=:1", []string{"-addr", "[::1]:2", "-data-dir=x"},
			config{addr: "[::1]:2", dataDir: "x", demo: true, dev: true}},
		"staleness": {"ROSTER_STALENESS_BOUND=2.5s", nil,
			config{addr: "localhost:8080", dataDir: "./data", demo: true, dev: true, staleness: 2500 * time.Millisecond}},
		"entries": {"ROSTER_CACHE_ENTRIES=1000000", nil,
			config{addr: "localhost:8080", dataDir: "./data", demo: true, dev: true, cacheEntries: 1_000_000}},
		"the largest file to import": {"", []string{"-max-upload", "1000"},
			config{addr: "localhost:8080", dataDir: "./data", demo: true, dev: true, maxUpload: 1000}},
		"open to others": {"ROSTER_ADDR=:8080", []string{"-public-url", "https://accounts.example.com"},
			config{addr: ":8080", dataDir: "./data", publicURL: "https://accounts.example.com", demo: true}},
		"open, in development": {"ROSTER_ADDR=0.0.0.0:80", []string{"-dev", "true", "-public-url", "http://192.0.2.1"},
			config{addr: "0.0.0.0:80", dataDir: "./data", publicURL: "http://192.0.2.1", demo: true, dev: true}},
		"database of others": {elsewhere, nil,
			config{addr: "localhost:8080", dataDir: "./data", databaseURL: secret.New("postgres://db/roster"), dev: true}},
		"database of others, demo": {elsewhere, []string{"-demo=1"},
			config{addr: "localhost:8080", dataDir: "./data", databaseURL: secret.New("postgres://db/roster"), demo: true, dev: true}},
		"behind a proxy": {"ROSTER_PUBLIC_URL=https://accounts.example.com", nil,
			config{addr: "localhost:8080", dataDir: "./data", publicURL: "https://accounts.example.com", demo: true, dev: true}},
		"public on this machine": {"ROSTER_PUBLIC_URL=http://127.0.0.1:8080", nil,
			config{addr: "localhost:8080", dataDir: "./data", publicURL: "http://127.0.0.1:8080", demo: true, dev: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variable, value, _ := strings.Cut(test.env, "=")
			c, err := readConfig(test.args, func(name string) string {
				if name == variable {
					return value
				}
				return ""
			}, nil)
			must(t, err)
			if !reflect.DeepEqual(*c, test.want) {
				t.Errorf("got %+v\nwant %+v", *c, test.want)
			}
		})
	}
}

// -help and the table of docs/configuration.md have the same settings.
func TestHelp(t *testing.T) {
	t.Parallel()
	p := setup(t)
	r := p.launch("-help")
	r.wantEnd(0)
	if r.stderr.String() != "" || len(names(t, p.dir)) > 0 {
		t.Errorf("-help says %s and makes %v", &r.stderr, names(t, p.dir))
	}
	help := regexp.MustCompile(`(?m)^  -(\S+) +([A-Z_]+) +.*?(?:\(default (\S+)\))?$`).FindAllStringSubmatch(r.stdout.String(), -1)
	page, err := os.ReadFile("docs/configuration.md")
	must(t, err)
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| `-(\\S+)` \\| (.*) \\|$").FindAllStringSubmatch(section(t, string(page), "## Settings"), -1)
	if len(help) != len(settings()) || len(rows) != len(help) {
		t.Fatalf("%d settings, -help lists %d, and docs/configuration.md %d:\n%s", len(settings()), len(help), len(rows), &r.stdout)
	}
	for i, told := range help {
		flag, variable, value := told[1], told[2], told[3]
		if row := rows[i]; row[1] != variable || row[2] != flag || value != "" && !strings.Contains(row[3], "default `"+value+"`") {
			t.Errorf("-help has %s, -%s with the default %q, and docs/configuration.md\n%s", variable, flag, value, row[0])
		}
	}
}

// section returns the part of a document below the heading, up to the next heading.
func section(t *testing.T, document, heading string) string {
	t.Helper()
	_, after, found := strings.Cut(document, "\n"+heading+"\n")
	if !found {
		t.Fatalf("there is no %q", heading)
	}
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// keyFiles are the files with keys in a data folder, and what makes such a key.
var keyFiles = map[string]struct {
	in     func(dataDir string) keyFile
	newKey func() secret.Text
}{
	"admin-key":  {adminKeyFile, credential.New},
	"secret-key": {secretKeyFile, secret.NewKey},
}

// A key is made once, also by servers that start at the same time, and found again.
func TestKeyFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, kind := range keyFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := kind.in(filepath.Join(t.TempDir(), "data"))
			var all [8]secret.Text
			var makers atomic.Int64
			var starts sync.WaitGroup
			for i := range all {
				starts.Go(func() {
					got, made, err := file.ensure(kind.newKey)
					if err != nil {
						t.Error(err)
					}
					if made {
						makers.Add(1)
					}
					all[i] = got
				})
			}
			starts.Wait()
			if makers.Load() != 1 || slices.ContainsFunc(all[:], func(got secret.Text) bool { return !got.Equal(all[0]) }) {
				t.Errorf("%d keys are made", makers.Load())
			}
		})
	}
}

// A file that somebody else could have planted, or can read, is refused, and so is one
// with something else in it. None is overwritten.
func TestPlantedKeyFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plant func(path, key string) error
		want  string
	}{
		"ours": {func(path, key string) error { return os.WriteFile(path, []byte(key), 0o600) }, ""},
		"others may read it": {func(path, key string) error {
			return errors.Join(os.WriteFile(path, []byte(key), 0o600), os.Chmod(path, 0o644))
		}, "has the mode 0644"},
		"a folder": {func(path, _ string) error { return os.Mkdir(path, 0o700) }, "is not a file"},
		"another owner's": {func(path, key string) error {
			return errors.Join(os.WriteFile(path, []byte(key), 0o600), os.Chown(path, 12345, -1))
		}, "belongs to another account"},
		"notes": {func(path, _ string) error { return os.WriteFile(path, []byte("notes\n"), 0o600) }, " holds no "},
	} {
		for file, kind := range keyFiles {
			t.Run(name+", "+file, func(t *testing.T) {
				t.Parallel()
				if name == "another owner's" && os.Geteuid() != 0 {
					t.Skip("only root can give files away")
				}
				file, key := kind.in(t.TempDir()), kind.newKey().Reveal()
				must(t, test.plant(file.path, key))
				before, _ := os.ReadFile(file.path)
				got, made, err := file.ensure(kind.newKey)
				if test.want == "" && (err != nil || got.Reveal() != key) || test.want != "" && (err == nil || !got.Empty() || !strings.Contains(err.Error(), file.path+" "+strings.TrimPrefix(test.want, " "))) {
					t.Errorf("got error %v, want %q", err, test.want)
				}
				if after, _ := os.ReadFile(file.path); made || !bytes.Equal(before, after) {
					t.Errorf("the file now holds %q", after)
				}
			})
		}
	}
}

// A mistyped variable is reported with the one that was meant.
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	got := unknownVariables([]string{"ROSTER_ADRR=x", "ROSTER_ADDR=x", "ROSTER_KEY=x", "PATH=/", "ROSTER_PUBLICURL=", "DATABASE_URL=x", "ROSTER_DATABASE_URL=x"})
	want := []string{"ROSTER_ADRR is no setting of Roster; is ROSTER_ADDR meant?", "ROSTER_PUBLICURL is no setting of Roster; is ROSTER_PUBLIC_URL meant?",
		"ROSTER_DATABASE_URL is no setting of Roster; is DATABASE_URL meant?"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// latinDatabase makes a database whose encoding cannot hold most people's names.
func latinDatabase(t *testing.T) string {
	t.Helper()
	dsn := dbtest.DSN(t)
	database, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	present := database.Config().Database
	latin := present + "_latin"
	_, err = database.Exec(t.Context(), "create database "+latin+" template template0 encoding LATIN1 locale 'C'")
	must(t, err)
	t.Cleanup(func() {
		_, err := database.Exec(context.Background(), "drop database "+latin+" with (force)")
		must(t, errors.Join(err, database.Close(context.Background())))
	})
	return strings.Replace(dsn, present, latin, 1)
}
