package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
)

// asServer is the environment variable with which this test binary runs as the server.
const asServer = "TEST_AS_ROSTER"

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asServer) != "":
		main()
		return
	case os.Getenv(asAttackers) != "":
		attack(os.Getenv(asAttackers))
		return
	}
	dbtest.Main(m)
}

// program runs the server in a folder of its own, with the settings of the test and no
// others.
type program struct {
	t testing.TB
	// dir is the working folder; the data folder is the default one in it.
	dir    string
	binary string
	// env holds variables, as name=value.
	env     []string
	account *syscall.Credential
}

// setup returns a program in an empty folder, which every account can enter.
func setup(t testing.TB) *program {
	t.Helper()
	dir := dbtest.TempDir(t)
	must(t, os.Chmod(dir, 0o755))
	binary, err := os.Executable()
	must(t, err)
	return &program{t: t, dir: dir, binary: binary}
}

// withCluster puts a migrated and empty database into the data folder, which takes a tenth
// of the time that a server takes to make one, and returns p.
func (p *program) withCluster() *program {
	p.t.Helper()
	dbtest.PutCluster(p.t, p.data())
	return p
}

// data returns the path of the data folder.
func (p *program) data() string { return filepath.Join(p.dir, "data") }

// launch starts the program and returns at once. It is stopped after the test.
func (p *program) launch(args ...string) *process {
	p.t.Helper()
	r := &process{program: p, exited: make(chan struct{}), began: time.Now()}
	r.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.binary, args...)
	r.cmd.Dir = p.dir
	r.cmd.Env = append(ownEnvironment(), p.env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	must(p.t, r.cmd.Start())
	go func() {
		defer close(r.exited)
		_ = r.cmd.Wait() // the tests read the state
	}()
	p.t.Cleanup(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		<-r.exited
		if p.t.Failed() {
			p.t.Logf("%s\n%s%s", r.cmd.ProcessState, &r.stdout, r.stderr.end())
		}
	})
	return r
}

// start starts the program, and returns when it listens, on a port that it picks.
func (p *program) start(args ...string) *process {
	p.t.Helper()
	r := p.launch(append([]string{"-addr", "localhost:0"}, args...)...)
	eventually(p.t, func() error {
		if !r.runs() {
			p.t.Fatalf("the server has ended: %s\n%s", r.cmd.ProcessState, &r.stderr)
		}
		if line := r.logged("listening"); line != nil {
			r.took = time.Since(r.began)
			r.url, _ = line["url"].(string)
			return nil
		}
		return errors.New("the server does not listen yet")
	})
	r.key = p.key()
	return r
}

// key returns the contents of the administrator's key file; empty if there is none.
func (p *program) key() string {
	p.t.Helper()
	text, err := os.ReadFile(adminKeyPath(p.data()))
	if !errors.Is(err, fs.ErrNotExist) {
		must(p.t, err)
	}
	return strings.TrimSpace(string(text))
}

// ownEnvironment returns the environment of the tests without the variables that configure
// a server.
func ownEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "ROSTER_") || strings.HasPrefix(v, "DATABASE_URL=") || strings.HasPrefix(v, "OTEL_")
	})
	return append(env, asServer+"=1")
}

// process is one run of the program.
type process struct {
	*program
	cmd            *exec.Cmd
	stdout, stderr text
	exited         chan struct{} // closed when it has ended
	began          time.Time
	// took is the time until it listened.
	took time.Duration
	url  string
	// key is sent with requests. It is the one in the key file unless a test sets another.
	key string
}

func (r *process) runs() bool {
	select {
	case <-r.exited:
		return false
	default:
		return true
	}
}

// wait waits for the end of the process, and returns its exit code; -1 after a signal.
func (r *process) wait() int {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(waitTimeout):
		r.t.Fatalf("still running after %v\n%s", waitTimeout, &r.stderr)
	}
	return r.cmd.ProcessState.ExitCode()
}

// stop stops the server. It fails the test if the server leaves something behind.
func (r *process) stop() {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(syscall.SIGTERM))
	r.wantEnd(0)
	r.wantNobody()
}

func (r *process) wantEnd(code int) {
	r.t.Helper()
	if got := r.wait(); got != code {
		r.t.Errorf("the server ends with %d, want %d\n%s", got, code, &r.stderr)
	}
}

// kill ends the server as a power cut would.
func (r *process) kill() {
	r.t.Helper()
	must(r.t, r.cmd.Process.Kill())
	<-r.exited
}

// wantNobody fails the test if processes still work in the cluster after a moment: a
// process that was killed may take that long to end.
func (p *program) wantNobody() {
	p.t.Helper()
	left := p.workers()
	for tries := 0; tries < 20 && len(left) > 0; tries++ {
		time.Sleep(100 * time.Millisecond)
		left = p.workers()
	}
	if len(left) > 0 {
		p.t.Errorf("processes are left behind: %v", left)
	}
}

// workers returns the processes whose working folder is in the data folder.
func (p *program) workers() (all []string) {
	p.t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cwd")
	must(p.t, err)
	for _, cwd := range found {
		// The folder may be gone by now, so its name is compared.
		if dir, err := os.Readlink(cwd); err == nil && strings.HasPrefix(dir, p.data()+"/") {
			all = append(all, cwd)
		}
	}
	return all
}

// holdsFolder reports whether the process has opened the lock of its data folder.
func (r *process) holdsFolder() bool {
	r.t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.cmd.Process.Pid))
	must(r.t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		path, err := os.Readlink(file)
		return err == nil && path == filepath.Join(r.data(), "lock")
	})
}

// logged returns the first log line with that message; nil if there is none.
func (r *process) logged(message string) object {
	for text := range strings.Lines(r.stderr.String()) {
		var line object
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			return line
		}
	}
	return nil
}

// wantRefusal fails the test unless the program has ended with one line that contains the
// text.
func (r *process) wantRefusal(part string) {
	r.t.Helper()
	r.wantEnd(1)
	said := r.stderr.String()
	if !strings.HasPrefix(said, "roster: ") || strings.Count(said, "\n") != 1 || !strings.Contains(said, part) {
		r.t.Errorf("the server says %q\nwant one line with %q", said, part)
	}
	if r.stdout.String() != "" {
		r.t.Errorf("on standard output: %s", &r.stdout)
	}
}

// postgres returns the process id of the embedded PostgreSQL.
func (p *program) postgres() (pid int) {
	p.t.Helper()
	eventually(p.t, func() error {
		text, err := os.ReadFile(filepath.Join(p.data(), "postgres", "postmaster.pid"))
		if err != nil {
			return err
		}
		_, err = fmt.Sscan(string(text), &pid)
		return err
	})
	return pid
}

// connect connects to the embedded PostgreSQL, beside the server.
func (p *program) connect() *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), "user=postgres dbname=postgres port=5432 sslmode=disable host="+filepath.Join(p.data(), "postgres"))
	must(p.t, err)
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// object is a JSON object.
type object = map[string]any

// client bounds the time of each request.
var client = &http.Client{Timeout: waitTimeout}

// get returns the status and the body of a page.
func (r *process) get(path string) (int, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	must(r.t, err)
	response, err := client.Do(request)
	must(r.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(r.t, err)
	return response.StatusCode, string(body)
}

func (r *process) wantPage(path string, status int, part string) {
	r.t.Helper()
	if got, body := r.get(path); got != status || !strings.Contains(body, part) {
		r.t.Errorf("%s answers %d, %.200s\nwant %d with %q", path, got, body, status, part)
	}
}

// wantReady waits for the server to be ready: on a busy machine, its feed may be late.
func (r *process) wantReady() {
	r.t.Helper()
	eventually(r.t, func() error {
		if status, body := r.get("/readyz"); status != 200 || body != "ready\n" {
			return fmt.Errorf("/readyz answers %d, %.200s", status, body)
		}
		return nil
	})
}

// ask sends an operation and returns the data of the answer.
func (r *process) ask(ctx context.Context, query string, variables object) (object, error) {
	body, err := json.Marshal(object{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + r.key}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Data   object
		Errors []object
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK || len(answer.Errors) > 0 {
		return nil, fmt.Errorf("%s: %v", response.Status, answer.Errors)
	}
	return answer.Data, nil
}

// create makes a user with that email address. If it returns no error, the write is
// acknowledged.
func (r *process) create(ctx context.Context, email string) error {
	_, err := r.ask(ctx, "mutation($email: String!) { createUser(input: {email: $email}) { user { id } } }", object{"email": email})
	return err
}

// emails returns the email addresses of all users.
func (r *process) emails() map[string]bool {
	r.t.Helper()
	all := map[string]bool{}
	var cursor any
	for {
		data, err := r.ask(r.t.Context(),
			"query($after: String) { users(first: 100, after: $after) { nodes { email } pageInfo { hasNextPage endCursor } } }", object{"after": cursor})
		must(r.t, err)
		users := data["users"].(object)
		for _, user := range users["nodes"].([]any) {
			email, _ := user.(object)["email"].(string)
			all[email] = true
		}
		page := users["pageInfo"].(object)
		if page["hasNextPage"] != true {
			return all
		}
		cursor = page["endCursor"]
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// waitTimeout is how long a test waits for something that takes long only on a busy
// machine.
const waitTimeout = 2 * time.Minute

// eventually runs try until it succeeds. It fails the test after waitTimeout.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(waitTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", waitTimeout, err)
		}
	}
}

// text collects the output of a process.
type text struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.Write(p)
}

// end returns the last lines.
func (t *text) end() string {
	lines := strings.SplitAfter(t.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "")
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.String()
}
