package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"roster/db/dbtest"
)

// importing is a program that imports a file into a database of its own.
type importing struct {
	*process
	database *pgx.Conn
	id       string
}

// startImporting returns a program that has planned the import of the file. Some of the people
// are there already.
func startImporting(t *testing.T, file string) *importing {
	t.Helper()
	dsn := dbtest.DSN(t)
	database, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { must(t, database.Close(context.WithoutCancel(t.Context()))) })
	p := setup(t)
	p.env = []string{"DATABASE_URL=" + dsn}
	i := &importing{process: p.start(), database: database}
	_, err = i.ask(t.Context(), `mutation {
		clerk: createRole(input: {key: "clerk"}) { role { id } }
		acme: createOrganization(input: {code: "acme", name: "Acme"}) { organization { id } }
		createUsers(input: {users: [{email: "p3@x.example", givenName: "There"}, {email: "p500@x.example"}]}) { users { id } }
	}`, nil)
	must(t, err)
	i.id = i.send(file)
	i.await("PLANNED")
	return i
}

// send sends the file, and returns the id of the import.
func (i *importing) send(file string) string {
	i.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	must(i.t, form.WriteField("operations", `{"query": "mutation($file: Upload!) { planImport(input: {file: $file, onConflict: UPDATE, onUnknown: CREATE_ORGANIZATIONS}) { import { id } } }", "variables": {"file": null}}`))
	must(i.t, form.WriteField("map", `{"0": ["variables.file"]}`))
	part, err := form.CreateFormFile("0", "people.csv")
	must(i.t, err)
	_, err = io.WriteString(part, file)
	must(i.t, err)
	must(i.t, form.Close())
	request, err := http.NewRequestWithContext(i.t.Context(), http.MethodPost, i.url+"/graphql", &body)
	must(i.t, err)
	request.Header = http.Header{"Content-Type": {form.FormDataContentType()}, "Authorization": {"Bearer " + i.key}}
	response, err := client.Do(request)
	must(i.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(i.t, err)
	_, id, _ := strings.Cut(string(text), `"id":"`)
	id, _, found := strings.Cut(id, `"`)
	if !found {
		i.t.Fatalf("planImport answers %s", text)
	}
	return id
}

// begin calls applyImport or undoImport.
func (i *importing) begin(mutation string) {
	i.t.Helper()
	_, err := i.ask(i.t.Context(), `mutation($id: ID!) { `+mutation+`(input: {import: $id}) { import { id } } }`, object{"id": i.id})
	must(i.t, err)
}

// await waits until the import has that status.
func (i *importing) await(status string) {
	i.t.Helper()
	eventually(i.t, func() error {
		if now := i.status(); now != status {
			return errors.New("the import is " + now)
		}
		return nil
	})
}

func (i *importing) status() (status string) {
	i.t.Helper()
	must(i.t, i.database.QueryRow(i.t.Context(), "select status from imports").Scan(&status))
	return status
}

// dieAndGoOn kills the program at random moments while the import has that status, so many times
// at most, and starts it again. It returns how many times.
func (i *importing) dieAndGoOn(during string, most int) (kills int) {
	i.t.Helper()
	for ; kills < most; kills++ {
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		if i.status() != during {
			return kills
		}
		i.kill()
		_, err := i.database.Exec(i.t.Context(), "update imports set claimed_until = 'epoch'") // the time of the claim has passed
		must(i.t, err)
		i.process = i.program.start()
	}
	return kills
}

// directory returns what the database says of people, organizations and grants.
func (i *importing) directory() string {
	i.t.Helper()
	rows, err := i.database.Query(i.t.Context(), `
		select concat_ws(' ', u.email_key, u.name, u.status, (select string_agg(o.code || '[' || coalesce((select string_agg(r.key, ' ' order by r.key)
			from membership_roles g join roles r on r.id = g.role_id where g.org_id = m.org_id and g.user_id = m.user_id and g.live), '') || ']', ' ' order by o.code)
			from memberships m join organizations o on o.id = m.org_id where m.user_id = u.id))
		from users u where u.deleted_at is null
		union all select concat_ws(' ', code, name, external_id) from organizations where deleted_at is null
		order by 1`)
	must(i.t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(i.t, err)
	return strings.Join(lines, "\n")
}

// A program that is killed again and again while it applies and undoes an import, and started
// again each time, leaves what an undisturbed one leaves.
func TestKillWhileImporting(t *testing.T) {
	t.Parallel()
	people, kills := 800, 2
	if *long {
		people, kills = 20_000, 20
	}
	var file strings.Builder
	file.WriteString("email,first_name,role_keys,external_organization_id\n")
	for n := range people {
		fmt.Fprintf(&file, "p%d@x.example,Person %d,clerk,acme\n", n, n)
	}
	for n := range people {
		fmt.Fprintf(&file, "p%d@x.example,,clerk,made-%d\n", n, n%7)
	}
	calm := startImporting(t, file.String())
	before := calm.directory()
	calm.begin("applyImport")
	calm.await("APPLIED")
	applied := calm.directory()
	calm.stop()

	killed := startImporting(t, file.String())
	killed.begin("applyImport")
	n := killed.dieAndGoOn("APPLYING", kills)
	killed.await("APPLIED")
	if got := killed.directory(); got != applied {
		t.Errorf("undisturbed\n%.2000s\nand killed %d times\n%.2000s", applied, n, got)
	}
	killed.begin("undoImport")
	n += killed.dieAndGoOn("UNDOING", kills/2)
	killed.await("UNDONE")
	if got := killed.directory(); got != before {
		t.Errorf("before\n%.2000s\nand after it was undone\n%.2000s", before, got)
	}
	t.Logf("it was killed %d times", n)
	killed.stop()
}
