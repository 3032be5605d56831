package graphtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"sync"
	"testing"
	"time"

	"roster/db"
)

// WorkOnImports carries imports out in the background until the test ends.
func (b *Server) WorkOnImports(t testing.TB) {
	t.Helper()
	b.StartImports(t)
}

// StartImports carries imports out in the background until the test ends or stop is called.
func (b *Server) StartImports(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var working sync.WaitGroup
	working.Go(func() { b.Transfer.Work(ctx) })
	stop = func() { cancel(); working.Wait() }
	t.Cleanup(stop)
	return stop
}

// SendFile sends a document with a file, which is the variable input.file, on behalf of the
// key.
func (b *Server) SendFile(t testing.TB, key, query string, input Object, name string, content []byte) *Answer {
	t.Helper()
	input["file"] = nil
	operations, err := json.Marshal(Object{"query": query, "variables": Object{"input": input}})
	Must(t, err)
	header, body := Form(t, Headers(key), map[string]string{"operations": string(operations), "map": `{"0": ["variables.input.file"]}`}, name, content)
	return b.Send(t, http.MethodPost, "/graphql", header, body)
}

// Form returns the header and the body of a form with a file.
func Form(t testing.TB, header http.Header, fields map[string]string, name string, content []byte) (http.Header, []byte) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range []string{"operations", "map"} {
		Must(t, form.WriteField(field, fields[field]))
	}
	part, err := form.CreateFormFile("0", name)
	Must(t, err)
	_, err = part.Write(content)
	Must(t, err)
	Must(t, form.Close())
	header.Set("Content-Type", form.FormDataContentType())
	return header, body.Bytes()
}

const importFields = `id status format encoding rowsTotal rowsDone creates updates skips failures error errorCode`

// StoreImport stores an import that was read, and then cancelled, and returns its id. Its
// first row has failed, and the second has a warning.
func (b *Server) StoreImport(t testing.TB, name string) string {
	t.Helper()
	id := Rows[db.ImportID](t, b, `insert into imports (id, file_name, format, encoding, status, on_conflict, on_unknown, org_id, rows_total, skips, failures, created_by, actor, created_at, finished_at)
		select gen_random_uuid(), $1, 'CSV', 'UTF-8', 'CANCELLED', 'SKIP', 'FAIL', id, 2, 1, 1, 'system:test', 'system:test', now(), now() from organizations where is_default returning id`, name)[0]
	b.Execute(t, `insert into import_rows (import_id, number, line, outcome, email, errors, warnings) values
		(?0, 1, 2, 'FAIL', 'x', '[{"code": "FORMAT", "message": "Must be an email address.", "column": "email"}]', null),
		(?0, 2, 3, 'SKIP', 'somebody@example.com', null, '[{"code": "UNKNOWN_ROLE", "message": "There is no role. It was left out."}]')`, id)
	return id.String()
}

// Plan plans the import of a file, and returns its id when that is done.
func (b *Server) Plan(t testing.TB, input Object, name, content string) string {
	t.Helper()
	a := b.SendFile(t, b.Key, `mutation Plan($input: PlanImportInput!) { planImport(input: $input) { import { `+importFields+` } } }`, input, name, []byte(content))
	if a.Codes() != "" {
		t.Fatalf("planning %s: %s", name, a.Body)
	}
	id := a.Text("planImport.import.id")
	b.ImportIs(t, id, "PLANNED")
	return id
}

// Carry begins to apply or undo an import ("applyImport", "undoImport"), and waits until that is done.
func (b *Server) Carry(t testing.TB, mutation, id, status string) {
	t.Helper()
	b.Ask(t, `mutation($input: ImportActionInput!) { `+mutation+`(input: $input) { import { id } } }`, Object{"input": Object{"import": id}})
	b.ImportIs(t, id, status)
}

// ImportIs waits until the import has that status.
func (b *Server) ImportIs(t testing.TB, id, status string) {
	t.Helper()
	var last string
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	Eventually(t, time.Minute, "the import is "+status, func() bool {
		a := b.Ask(t, `query($id: ID!) { import(id: $id) { `+importFields+` } }`, Object{"id": id})
		last = string(a.Body)
		now := a.Text("import.status")
		if now != status && (now == "FAILED" || now == "CANCELLED") {
			t.Fatalf("the import is not %s: %s", status, last)
		}
		return now == status
	})
}

// Report returns the counts of an import and each of its rows, as text.
func (b *Server) Report(t testing.TB, id string) string {
	t.Helper()
	a := b.Ask(t, `query($id: ID!) { import(id: $id) { format rowsTotal rowsDone creates updates skips failures rows(first: 100) { nodes { line outcome email user { email } errors { code message column } warnings { code message column } } } } }`, Object{"id": id})
	var report bytes.Buffer
	fmt.Fprintf(&report, "%s %v/%v: %v+ %v~ %v= %v-\n", a.Text("import.format"), a.At("import.rowsDone"), a.At("import.rowsTotal"), a.At("import.creates"), a.At("import.updates"), a.At("import.skips"), a.At("import.failures"))
	for _, row := range a.List("import.rows.nodes") {
		fmt.Fprintf(&report, "%v %v %v", At(row, "line"), At(row, "outcome"), At(row, "email"))
		for _, kind := range []string{"errors", "warnings"} {
			for _, fault := range At(row, kind).([]any) {
				fmt.Fprintf(&report, " [%v %v: %v]", At(fault, "code"), At(fault, "column"), At(fault, "message"))
			}
		}
		report.WriteByte('\n')
	}
	return report.String()
}
