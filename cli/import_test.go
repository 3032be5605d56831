package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"roster/graph/graphtest"
)

type object = map[string]any

// importer stands in for a server: it takes a file, and is done with each state after some
// looks at it. Each document must be one of the schema.
type importer struct {
	t      *testing.T
	schema *ast.Schema

	mu      sync.Mutex
	status  string
	left    int // looks until the status is over
	failing int // rows that fail
	file    string
	input   object
	// ends is where the next status leads to; nil is the usual.
	ends map[string]string
	// looked is called at each look.
	looked func(status string)
	calls  []string
}

func newImporter(t *testing.T) (*importer, string) {
	t.Helper()
	i := &importer{t: t, schema: graphtest.LoadSchema(t, "../schema.graphqls")}
	web := httptest.NewServer(i)
	t.Cleanup(web.Close)
	return i, web.URL + "/graphql"
}

const importID = "import_01h455vb4pex5vsknk084sn02q"

var afterwards = map[string]string{"PLANNING": "PLANNED", "APPLYING": "APPLIED", "UNDOING": "UNDONE"}

// begin changes the status, which is over after two looks.
func (i *importer) begin(status string) { i.status, i.left = status, 2 }

func (i *importer) look() {
	if i.looked != nil {
		i.looked(i.status)
	}
	if i.left--; i.left <= 0 && afterwards[i.status] != "" {
		next := afterwards[i.status]
		if i.ends[i.status] != "" {
			next = i.ends[i.status]
		}
		i.status = next
	}
}

func (i *importer) state() object {
	return object{
		"id": importID, "status": i.status, "fileName": "people.csv", "format": "CSV", "encoding": "UTF-8", "rowsTotal": 250, "rowsDone": 125, "creates": 200, "updates": 1, "skips": 49 - i.failing, "failures": i.failing,
		"error": "the right to import has ended",
	}
}

func (i *importer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var asked struct {
		Query     string
		Variables object
	}
	if form, err := r.MultipartReader(); err == nil {
		for _, name := range []string{"operations", "map", "0"} { // in the order of the specification
			part, err := form.NextPart()
			graphtest.Must(i.t, err)
			text, err := io.ReadAll(part)
			graphtest.Must(i.t, err)
			if part.FormName() != name {
				i.t.Errorf("part %s, want %s", part.FormName(), name)
			}
			switch name {
			case "operations":
				graphtest.Must(i.t, json.Unmarshal(text, &asked))
			case "map":
				if string(text) != `{"0":["variables.input.file"]}` {
					i.t.Errorf("map %s", text)
				}
			default:
				i.file = part.FileName() + " " + string(text)
			}
		}
	} else {
		graphtest.Must(i.t, json.NewDecoder(r.Body).Decode(&asked))
	}
	document, errs := gqlparser.LoadQueryWithRules(i.schema, asked.Query, rules.NewDefaultRules())
	if errs != nil {
		i.t.Errorf("%v in %s", errs, asked.Query)
		return
	}
	call := document.Operations[0].SelectionSet[0].(*ast.Field)
	i.calls = append(i.calls, call.Name)
	switch call.Name {
	case "planImport":
		i.input = asked.Variables["input"].(object)
		i.begin("PLANNING")
	case "applyImport":
		i.begin("APPLYING")
	case "undoImport":
		i.begin("UNDOING")
	case "cancelImport":
		i.begin("CANCELLED")
	default:
		if call.SelectionSet[0].(*ast.Field).Name == "rows" {
			i.answer(w, object{"import": object{"rows": i.rows(asked.Variables)}})
			return
		}
		i.look()
		i.answer(w, object{"import": i.state()})
		return
	}
	i.answer(w, object{call.Name: object{"import": i.state()}})
}

func (i *importer) answer(w http.ResponseWriter, data object) {
	graphtest.Must(i.t, json.NewEncoder(w).Encode(object{"data": data}))
}

// rows returns a page of the rows: those that fail come first.
func (i *importer) rows(variables object) object {
	all := 250
	if variables["outcome"] == "FAIL" {
		all = i.failing
	}
	from := 0
	if after, ok := variables["after"].(string); ok {
		_, err := fmt.Sscan(after, &from)
		graphtest.Must(i.t, err)
	}
	to := min(all, from+int(variables["first"].(float64)))
	nodes := []object{}
	for n := from; n < to; n++ {
		row := object{"line": n + 2, "outcome": "CREATE", "email": fmt.Sprintf("u%d@example.com", n), "errors": []object{}, "warnings": []object{}}
		if n < i.failing {
			row["outcome"], row["errors"] = "FAIL", []object{{"code": "PATTERN", "message": "=odd, says \"it\"", "column": "email"}, {"code": "UNKNOWN_ROLE", "message": "There is no such role.", "column": nil}}
		}
		if n == 249 {
			row["email"], row["warnings"] = nil, []object{{"code": "CHANGED_SINCE", "message": "It stays.", "column": nil}}
		}
		nodes = append(nodes, row)
	}
	return object{"nodes": nodes, "pageInfo": object{"hasNextPage": to < all, "endCursor": fmt.Sprint(to)}}
}

// An import is planned, told, and applied if that is wished for.
func TestImport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "people.csv")
	graphtest.Must(t, os.WriteFile(file, []byte("email\nada@example.com\n"), 0o600))
	firebase := filepath.Join(dir, "firebase.json")
	graphtest.Must(t, os.WriteFile(firebase, []byte(`{"signerKey":"a","saltSeparator":"b","rounds":8,"memoryCost":14}`), 0o600))
	const counts, plan = "  200 users created, 1 updated, ", "people.csv: CSV, UTF-8, 250 rows (" + importID + ")\n"
	for name, c := range map[string]struct {
		args    []string
		typed   string
		answers bool
		failing int
		ends    map[string]string
		code    int
		calls   string
		// printed and told are parts of the outputs, separated by |.
		printed, told string
	}{
		"only planned":          {args: []string{"-plan", file}, calls: "planImport", printed: plan + counts, told: "roster import -apply " + importID},
		"nobody can answer":     {args: []string{file}, calls: "planImport", printed: plan, told: "Nothing is imported yet"},
		"no":                    {args: []string{file}, typed: "\n", answers: true, calls: "planImport", told: "Apply it? [y/N]|Nothing is imported yet"},
		"yes":                   {args: []string{file}, typed: "y\n", answers: true, calls: "planImport applyImport", printed: plan + "|import_01h455vb4pex5vsknk084sn02q is applied: 125 rows of 250"},
		"at once":               {args: []string{"-apply", file}, calls: "planImport applyImport", printed: plan + "|is applied"},
		"from stdin":            {args: []string{"-plan", "-"}, typed: "email\n", calls: "planImport", printed: plan},
		"rows fail":             {args: []string{"-plan", file}, failing: 12, code: 3, calls: "planImport", printed: "line 2 u0@example.com: PATTERN email: =odd|line 11 u9@example.com: UNKNOWN_ROLE There is no such role.|and 2 more; -report", told: "12 rows fail of people.csv"},
		"rows fail, applied":    {args: []string{file, "-apply"}, failing: 1, code: 3, calls: "planImport applyImport", printed: "is applied", told: "1 row fails of people.csv"},
		"the plan fails":        {args: []string{"-apply", file}, ends: map[string]string{"PLANNING": "FAILED"}, code: 1, calls: "planImport", told: "the import failed after 250 rows: the right to import has ended|Nothing was imported"},
		"it fails":              {args: []string{"-apply", file}, ends: map[string]string{"APPLYING": "FAILED"}, code: 1, calls: "planImport applyImport", told: "-apply " + importID + " goes on"},
		"the undo fails":        {args: []string{"-undo", importID}, ends: map[string]string{"UNDOING": "FAILED"}, code: 1, calls: "undoImport", told: "after all but 125 rows|roster import -undo " + importID + " goes on"},
		"somebody cancels":      {args: []string{"-apply", file}, ends: map[string]string{"APPLYING": "CANCELLED"}, code: 1, calls: "planImport applyImport", told: "was cancelled after 125 rows"},
		"by its id":             {args: []string{"-apply", importID}, calls: "applyImport", printed: "is applied"},
		"cancelled":             {args: []string{"-cancel", importID}, calls: "cancelImport", printed: "is cancelled"},
		"undone":                {args: []string{"-undo", importID}, calls: "undoImport", printed: "is undone"},
		"shown":                 {args: []string{importID}, printed: plan},
		"cancel a file":         {args: []string{"-cancel", file}, code: 2, told: "the id of an import"},
		"two wishes":            {args: []string{"-apply", "-plan", file}, code: 2, told: "exclude one another"},
		"no file":               {args: []string{"-apply"}, code: 2, told: "name one file"},
		"two files":             {args: []string{file, file}, code: 2, told: "name one file"},
		"a missing file":        {args: []string{filepath.Join(dir, "none")}, code: 2, told: "no such file"},
		"an unknown format":     {args: []string{"-format", "xml", file}, code: 2, told: "-format is one of auto, csv, kinde-ndjson"},
		"half a pair":           {args: []string{"-column", "email", file}, code: 2, told: "not a pair such as email=E-mail"},
		"parameters of nothing": {args: []string{"-firebase", file, file}, code: 2, told: "is no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, address := newImporter(t)
			i.failing, i.ends, i.status = c.failing, c.ends, "PLANNED"
			run := command{key: "rk_x", in: strings.NewReader(c.typed), answers: c.answers}
			if code := run.run(t.Context(), append([]string{"import", "-url", address}, c.args...)...); code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, run.told.String())
			}
			calls := strings.Join(i.called(), " ")
			if calls != c.calls {
				t.Errorf("called %q, want %q", calls, c.calls)
			}
			for output, wanted := range map[string]string{run.out.String(): c.printed, run.told.String(): c.told} {
				for text := range strings.SplitSeq(wanted, "|") {
					if !strings.Contains(output, text) {
						t.Errorf("%q is not in %q", text, output)
					}
				}
			}
		})
	}
	i, address := newImporter(t)
	run := command{key: "rk_x"}
	if code := run.run(t.Context(), "import", "-plan", "-url", address, "-format", "firebase-ndjson", "-on-conflict", "UPDATE", "-on-unknown", "create-organizations", "-organization", "acme",
		"-column", "email=E-mail", "-column", "first_name=Vor=name", "-firebase", firebase, file); code != 0 {
		t.Errorf("exit code %d: %s", code, run.told.String())
	}
	got, err := json.Marshal(i.input)
	graphtest.Must(t, err)
	const want = `{"columns":{"email":"E-mail","first_name":"Vor=name"},"file":null,"firebase":{"memoryCost":14,"rounds":8,"saltSeparator":"b","signerKey":"a"},` +
		`"format":"FIREBASE_NDJSON","onConflict":"UPDATE","onUnknown":"CREATE_ORGANIZATIONS","organization":{"code":"acme"}}`
	if string(got) != want || i.file != "people.csv email\nada@example.com\n" {
		t.Errorf("sent %s\nwant %s\nwith %q", got, want, i.file)
	}
}

// called returns the mutations that were called, in order.
func (i *importer) called() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(i.calls), func(call string) bool { return call == "import" })
}

// The report has a line for each fault of each row, in cells that no spreadsheet runs.
func TestImportReport(t *testing.T) {
	t.Parallel()
	i, address := newImporter(t)
	i.status, i.failing = "APPLIED", 2
	report := filepath.Join(t.TempDir(), "report.csv")
	run := command{key: "rk_x"}
	if code := run.run(t.Context(), "import", "-url", address, "-report", report, importID); code != 3 {
		t.Errorf("exit code %d: %s", code, run.told.String())
	}
	content, err := os.ReadFile(report)
	graphtest.Must(t, err)
	const begin = "line,outcome,email,code,column,message\n" +
		`2,FAIL,u0@example.com,PATTERN,email,"'=odd, says ""it"""` + "\n2,FAIL,u0@example.com,UNKNOWN_ROLE,,There is no such role.\n" +
		`3,FAIL,u1@example.com,PATTERN,email,"'=odd, says ""it"""` + "\n3,FAIL,u1@example.com,UNKNOWN_ROLE,,There is no such role.\n4,CREATE,u2@example.com,,,\n"
	const end = "250,CREATE,u248@example.com,,,\n251,CREATE,,CHANGED_SINCE,,It stays.\n"
	if text := string(content); !strings.HasPrefix(text, begin) || !strings.HasSuffix(text, end) || strings.Count(text, "\n") != 253 {
		t.Errorf("%s", text)
	}
}

// Whoever interrupts the command while the server is at work cancels the import.
func TestImportIsInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "people.csv")
	graphtest.Must(t, os.WriteFile(file, []byte("email\n"), 0o600))
	for doing, told := range map[string]string{"PLANNING": "was cancelled after 250 rows\nNothing was imported", "APPLYING": "was cancelled after 125 rows\nroster import -apply"} {
		t.Run(doing, func(t *testing.T) {
			t.Parallel()
			i, address := newImporter(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			i.looked = func(status string) {
				if status == doing {
					i.left = 1000
					interrupt()
				}
			}
			run := command{key: "rk_x"}
			if code := run.run(ctx, "import", "-url", address, "-apply", file); code != 1 || !strings.Contains(run.told.String(), told) {
				t.Errorf("exit code %d: %s", code, run.told.String())
			}
			if calls := i.called(); calls[len(calls)-1] != "cancelImport" {
				t.Errorf("called %v", calls)
			}
		})
	}
}
