package transport_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"roster/graph/graphtest"
)

const (
	noFile  = `{"query": "mutation($file: Upload!) { planImport(input: {file: $file}) { import { id fileName } } }", "variables": {"file": null}}`
	oneFile = `{"0": ["variables.file"]}`
)

// formPart is a part of a form: a file if it has a file name.
type formPart struct{ name, file, content string }

// form returns the header and the body of a form of those parts, for the key.
func form(t *testing.T, key string, parts ...formPart) (http.Header, []byte) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		create := func() (io.Writer, error) { return w.CreateFormField(p.name) }
		if p.file != "" {
			create = func() (io.Writer, error) { return w.CreateFormFile(p.name, p.file) }
		}
		part, err := create()
		graphtest.Must(t, err)
		_, err = io.WriteString(part, p.content)
		graphtest.Must(t, err)
	}
	graphtest.Must(t, w.Close())
	header := graphtest.Headers(key)
	header.Set("Content-Type", w.FormDataContentType())
	return header, body.Bytes()
}

// kept returns how many files and chunks of files are stored, and how many imports.
func kept(t *testing.T, b *graphtest.Server) string {
	t.Helper()
	return graphtest.Rows[string](t, b, "select concat_ws(' ', (select count(*) from uploads), (select count(*) from upload_chunks), (select count(*) from imports))")[0]
}

// Forms that are not in order are refused, and nothing of them is kept.
func TestForms(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	operations, mapped, file := formPart{"operations", "", noFile}, formPart{"map", "", oneFile}, formPart{"0", "people.csv", "email\na@example.com\n"}
	with := func(name, content string) formPart { return formPart{name, "", content} }
	for _, c := range []struct {
		name  string
		parts []formPart
		codes string
	}{
		{"nothing", nil, "INVALID"},
		{"no map", []formPart{operations}, "INVALID"},
		{"no file", []formPart{operations, mapped}, "INVALID"},
		{"the map first", []formPart{mapped, operations, file}, "INVALID"},
		{"the file first", []formPart{file, operations, mapped}, "INVALID"},
		{"the file before the map", []formPart{operations, file, mapped}, "INVALID"},
		{"the file twice", []formPart{operations, mapped, file, file}, "INVALID"},
		{"a file more", []formPart{operations, mapped, file, {"1", "x", "x"}}, "INVALID"},
		{"another file", []formPart{operations, mapped, {"1", "x", "x"}}, "INVALID"},
		{"a file of two that do not come", []formPart{operations, with("map", `{"0": ["variables.file"], "1": ["variables.other"]}`), file}, "INVALID"},
		{"no operation", []formPart{with("operations", "{"), mapped, file}, "INVALID"},
		{"a batch", []formPart{with("operations", "["+noFile+"]"), with("map", `{"0": ["0.variables.file"]}`), file}, "INVALID"},
		{"a malformed map", []formPart{operations, with("map", "["), file}, "INVALID"},
		{"an empty map", []formPart{operations, with("map", "{}"), file}, "INVALID"},
		{"a map of a list", []formPart{operations, with("map", `[["variables.file"]]`), file}, "INVALID"},
		{"a map of a text", []formPart{operations, with("map", `{"0": "variables.file"}`), file}, "INVALID"},
		{"a map of numbers", []formPart{operations, with("map", `{"0": [0]}`), file}, "INVALID"},
		{"a map to nowhere", []formPart{operations, with("map", `{"0": ["variables.other"]}`), file}, "INVALID"},
		{"a map to below null", []formPart{operations, with("map", `{"0": ["variables.file.x"]}`), file}, "INVALID"},
		{"a map to all variables", []formPart{operations, with("map", `{"0": ["variables"]}`), file}, "INVALID"},
		{"a map to the query", []formPart{operations, with("map", `{"0": ["query"]}`), file}, "INVALID"},
		{"a file for two", []formPart{operations, with("map", `{"0": ["variables.file", "variables.file"]}`), file}, "INVALID"},
		{"two files for one", []formPart{operations, with("map", `{"0": ["variables.file"], "1": ["variables.file"]}`), file, {"1", "x", "x"}}, "INVALID"},
		{"not null", []formPart{with("operations", strings.Replace(noFile, "null", `"x"`, 1)), mapped, file}, "INVALID"},
		{"beyond a list", []formPart{with("operations", `{"query": "mutation { __typename }", "variables": {"file": [null]}}`), with("map", `{"0": ["variables.file.1"]}`), file}, "INVALID"},
		{"a query", []formPart{with("operations", `{"query": "query($file: String) { __typename }", "variables": {"file": null}}`), mapped, file}, "INVALID"},
		{"a variable of another type", []formPart{with("operations", `{"query": "mutation($file: String!) { deleteUser(input: {user: {email: $file}}) { deletedIds } }", "variables": {"file": null}}`), mapped, file}, "INVALID"},
		{"too large an operation", []formPart{with("operations", strings.Repeat(" ", 64<<10)+noFile), mapped, file}, "LIMITED"},
		{"too large a map", []formPart{operations, with("map", strings.Repeat(" ", 64<<10)+oneFile), file}, "LIMITED"},
		{"more files than a request has", []formPart{operations, with("map", manyFiles(11)), file}, "INVALID"},
		{"a dry run", []formPart{with("operations", strings.Replace(noFile, ") {", ") @dryRun {", 1)), mapped, file}, ""},
		{"a refused input", []formPart{with("operations", strings.Replace(noFile, "file: $file", `file: $file, organization: {code: \"none\"}`, 1)), mapped, file}, "NOT_FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			header, body := form(t, b.Key, c.parts...)
			a := b.Send(t, http.MethodPost, "/graphql", header, body)
			if a.Codes() != c.codes {
				t.Errorf("%s\nwant %q", a.Body, c.codes)
			}
			graphtest.Plain(t, a)
			if got := kept(t, b); got != "0 0 0" {
				t.Errorf("files, chunks and imports: %s", got)
			}
		})
	}
}

func manyFiles(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"%d": ["variables.file"]`, i))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// A page of another origin cannot send a form in somebody's name (CSRF): it needs a header
// that browsers do not send without asking.
func TestFormsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	header, body := form(t, "", formPart{"operations", "", noFile}, formPart{"map", "", oneFile}, formPart{"0", "x.csv", "x"})
	header.Set("Cookie", "roster_session=x")
	if a := b.Send(t, http.MethodPost, "/graphql", header, body); a.Codes() != "INVALID" {
		t.Errorf("without the header: %s", a.Body)
	}
	header.Set("X-GraphQL-Preflight", "1")
	if a := b.Send(t, http.MethodPost, "/graphql", header, body); a.Codes() != "UNAUTHENTICATED" {
		t.Errorf("with the header: %s", a.Body)
	}
}

// unendingFile is the body of a form whose file does not end, or breaks off after so many bytes.
type unendingFile struct {
	begin  io.Reader
	read   int
	breaks int
}

func (e *unendingFile) Read(p []byte) (int, error) {
	if n, err := e.begin.Read(p); err == nil {
		return n, nil
	}
	if e.breaks > 0 && e.read > e.breaks {
		return 0, io.ErrUnexpectedEOF
	}
	for i := range p {
		p[i] = 'a'
	}
	e.read += len(p)
	return len(p), nil
}

// A file is stored as it comes. Whoever may not import sends it in vain: it is not read. What
// breaks off or is too large is not kept.
func TestFilesThatDoNotEnd(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Transfer.MaxUpload = 3 << 20
	for name, c := range map[string]struct {
		key     string
		breaks  int
		codes   string
		atMost  int
		message string
	}{
		"without permission": {b.Holding(t, "", "roster:users:write"), 0, "FORBIDDEN", 1 << 20, ""},
		"without a key":      {"", 0, "UNAUTHENTICATED", 1 << 20, ""},
		"breaks off":         {b.Key, 2 << 20, "INVALID", 4 << 20, "broke off"},
		"too large":          {b.Key, 0, "INVALID", 5 << 20, "more than 3145728 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			header, body := form(t, c.key, formPart{"operations", "", noFile}, formPart{"map", "", oneFile}, formPart{"0", "x.csv", ""})
			header.Set("X-GraphQL-Preflight", "1")
			end := bytes.LastIndex(body, []byte("\r\n--"))
			sent := &unendingFile{begin: bytes.NewReader(body[:end]), breaks: c.breaks}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", sent)
			r.Header = header
			w := httptest.NewRecorder()
			b.Handler.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), `"code":"`+c.codes+`"`) || !strings.Contains(w.Body.String(), c.message) {
				t.Errorf("%s\nwant %s, %s", w.Body, c.codes, c.message)
			}
			if sent.read > c.atMost {
				t.Errorf("%d bytes were read, want at most %d", sent.read, c.atMost)
			}
			if got := kept(t, b); got != "0 0 0" {
				t.Errorf("files, chunks and imports: %s", got)
			}
		})
	}
}

// counted is a reader of n equal bytes.
type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) {
	if c.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), c.n)
	for i := range n {
		p[i] = 'a'
	}
	c.n -= n
	return n, nil
}

// A large file streams through: the server does not have it in memory.
func TestLargeFileStreams(t *testing.T) { // not parallel: it measures the heap
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // or else garbage has as much room as the file
	b := graphtest.New(t)
	const size = 24 << 20
	header, body := form(t, b.Key, formPart{"operations", "", noFile}, formPart{"map", "", oneFile}, formPart{"0", "large.csv", ""})
	end := bytes.LastIndex(body, []byte("\r\n--"))
	send := func(size int) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", io.MultiReader(bytes.NewReader(body[:end]), &counted{size}, bytes.NewReader(body[end:])))
		r.Header = header
		w := httptest.NewRecorder()
		b.Handler.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"fileName":"large.csv"`) {
			t.Fatalf("%s", w.Body)
		}
	}
	send(1 << 20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(size)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > size {
		t.Errorf("the heap has grown by %d bytes for a file of %d", grown, size)
	}
	if got := graphtest.Rows[int64](t, b, "select max(size) from uploads")[0]; got != size {
		t.Errorf("the file has %d bytes, want %d", got, size)
	}
}

// With an Idempotency-Key, the same file gets the first answer, and another one is refused;
// neither is kept.
func TestIdempotencyOfFiles(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	send := func(name, content string) *graphtest.Answer {
		header, body := form(t, b.Key, formPart{"operations", "", noFile}, formPart{"map", "", oneFile}, formPart{"0", name, content})
		header.Set("Idempotency-Key", "one")
		return b.Send(t, http.MethodPost, "/graphql", header, body)
	}
	first := send("x.csv", "email\na@example.com\n")
	if again := send("x.csv", "email\na@example.com\n"); first.Codes() != "" || again.Text("planImport.import.id") != first.Text("planImport.import.id") {
		t.Errorf("%s\nand again\n%s", first.Body, again.Body)
	}
	if other := send("x.csv", "email\nb@example.com\n"); other.Codes() == "" {
		t.Errorf("another file: %s", other.Body)
	}
	if renamed := send("y.csv", "email\na@example.com\n"); renamed.Codes() == "" {
		t.Errorf("another name: %s", renamed.Body)
	}
	if got := kept(t, b); got != "1 1 1" {
		t.Errorf("files, chunks and imports: %s", got)
	}
}
