package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/google/uuid"

	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/transfer/format"
)

// planRows is how many rows are read and judged at a time.
const planRows = 2000

// reading is a file on its way in.
type reading struct {
	*format.Reader
	// read is how many records were read so far.
	read int
}

// plan plans the next batch of rows, or ends the plan at the end of the file.
func (j *job) plan(ctx context.Context, im *db.Import) error {
	if j.reading == nil {
		if err := j.begin(ctx, im); err != nil {
			return err
		}
	}
	records := make([]format.Record, 0, planRows)
	for len(records) < planRows {
		record, err := j.reading.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			j.reading = nil // it does not go on after an error, also one of the database
			return err
		}
		records = append(records, record)
	}
	if len(records) == 0 {
		return j.planned(ctx, im)
	}
	if j.reading.read += len(records); j.reading.read > j.MaxRows {
		return problem.New(problem.Invalid, "The file has more than %d rows. Send it in parts.", j.MaxRows)
	}
	if err := j.planBatch(ctx, im, records); err != nil {
		j.reading = nil // what was read of it is read again
		return err
	}
	return nil
}

// begin opens the file, and reads over what was planned already.
func (j *job) begin(ctx context.Context, im *db.Import) error {
	if im.UploadID == nil {
		return errNotOurs
	}
	file, size, err := j.open(context.WithoutCancel(ctx), *im.UploadID)
	if err != nil {
		return err
	}
	columns, err := columnsOf(im.Columns)
	if err != nil {
		return err
	}
	options := format.Options{Format: format.Format(im.Format), Columns: columns, Limits: format.Limits{Unpacked: j.MaxUpload}}
	if im.Firebase != nil {
		text, err := j.Keyring.Open(firebasePurpose, im.Firebase)
		if err != nil {
			return err
		}
		var in FirebaseScryptInput
		if err := json.Unmarshal(text, &in); err != nil {
			return err
		}
		if options.Firebase, err = in.scrypt(); err != nil {
			return err
		}
	}
	reader, err := format.Open(file, size, options)
	if err != nil {
		return err
	}
	j.reading = &reading{Reader: reader}
	for ; j.reading.read < im.RowsTotal; j.reading.read++ {
		if _, err := reader.Next(); err != nil {
			j.reading = nil
			return err
		}
	}
	return nil
}

// row is a record on its way through the plan.
type row struct {
	record  *format.Record
	report  db.ImportRow
	arrival *directory.Arrival
	errors  []rowFault
	// warnings are told, and stop nothing.
	warnings []rowFault
}

// rowFault is what is wrong with a row, in the form in which it is stored and shown.
type rowFault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Column  string `json:"column,omitempty"`
}

// planBatch judges records, and stores what is to become of them.
func (j *job) planBatch(ctx context.Context, im *db.Import, records []format.Record) error {
	known, err := j.namedIn(ctx, records)
	if err != nil {
		return err
	}
	rows := make([]*row, len(records))
	var arrivals []*directory.Arrival
	var coming []*row
	for i := range records {
		rows[i] = j.newRow(im, &records[i], known)
		rows[i].report.Number = im.RowsTotal + i + 1
		if len(rows[i].errors) == 0 && rows[i].arrival != nil {
			arrivals, coming = append(arrivals, rows[i].arrival), append(coming, rows[i])
		}
	}
	earlier, err := j.earlier(ctx, arrivals)
	if err != nil {
		return err
	}
	foreseen, err := j.Directory.Foresee(ctx, arrivals, directory.OnConflict(im.OnConflict), earlier)
	if err != nil {
		return err
	}
	for i, r := range coming {
		r.settle(foreseen[i], j.reading.Column)
	}
	return j.store(ctx, rows)
}

// settle notes what is to become of the row.
func (r *row) settle(a directory.Arrived, column func(string) string) {
	r.report.Outcome = a.Outcome
	if !a.User.IsZero() {
		r.report.UserID = &a.User
	}
	for _, f := range a.Faults {
		r.errors = append(r.errors, columnFault(f, column))
	}
	for _, f := range a.Warnings {
		r.warnings = append(r.warnings, columnFault(f, column))
	}
}

// earlier returns whom the rows before these have named by what these are found by.
func (j *job) earlier(ctx context.Context, arrivals []*directory.Arrival) (map[string]db.UserID, error) {
	texts := map[uuid.UUID]string{}
	for _, a := range arrivals {
		for _, name := range a.Names() {
			texts[nameHash(name)] = name
		}
	}
	hashes := make([]uuid.UUID, 0, len(texts))
	for hash := range texts {
		hashes = append(hashes, hash)
	}
	found, err := db.SelectByIndex[struct {
		Name   uuid.UUID
		UserID db.UserID
	}](ctx, j.Database, `select k as name, n.user_id from unnest($2::uuid[]) k
		cross join lateral (select user_id from import_names where import_id = $1 and name = k limit 1) n`, j.id, hashes)
	earlier := make(map[string]db.UserID, len(found))
	for _, f := range found {
		earlier[texts[f.Name]] = f.UserID
	}
	return earlier, err
}

// nameHash returns the hash by which a name is stored: the first half of its SHA-256.
func nameHash(name string) uuid.UUID {
	sum := sha256.Sum256([]byte(name))
	return uuid.UUID(sum[:16])
}

// store stores the rows of a batch, with their reports, and counts them.
func (j *job) store(ctx context.Context, rows []*row) error {
	var b db.Batch
	n := len(rows)
	numbers, lines, outcomes := make([]int, n), make([]int, n), make([]string, n)
	users, emails, errs, warnings := make([]*db.UserID, n), make([]*string, n), make([]*string, n), make([]*string, n)
	var counts tally
	var people staged
	var names named
	for i, r := range rows {
		if len(r.errors) > 0 {
			r.report.Outcome, r.report.UserID = db.ImportFail, nil
		}
		counts.add(r.report.Outcome, 1)
		numbers[i], lines[i], outcomes[i], users[i], emails[i] = r.report.Number, r.report.Line, string(r.report.Outcome), r.report.UserID, r.report.Email
		errs[i], warnings[i] = faultsText(r.errors), faultsText(r.warnings)
		if r.report.Outcome != db.ImportCreate && r.report.Outcome != db.ImportUpdate {
			continue
		}
		if err := people.add(r); err != nil {
			return err
		}
		names.add(r.arrival)
	}
	b.Exec(`insert into import_rows (import_id, number, line, outcome, user_id, email, errors, warnings)
		select $1, number, line, outcome, user_id, email, errors::jsonb, warnings::jsonb
		from unnest($2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[]) n (number, line, outcome, user_id, email, errors, warnings)`,
		j.id, numbers, lines, outcomes, users, emails, errs, warnings)
	b.Exec("insert into import_people (import_id, number, person) select $1, number, person from unnest($2::bigint[], $3::text[]) n (number, person)", j.id, people.numbers, people.texts)
	b.Exec("insert into import_names (import_id, name, user_id) select $1, name, user_id from unnest($2::uuid[], $3::uuid[]) n (name, user_id) order by name on conflict do nothing", j.id, names.hashes, names.users)
	b.Exec(`update imports set format = $2, encoding = $3, rows_total = rows_total + $4, creates = creates + $5, updates = updates + $6, skips = skips + $7, failures = failures + $8 where id = $1`,
		j.id, string(j.reading.Format()), j.reading.Encoding(), n, counts.creates, counts.updates, counts.skips, counts.failures)
	return j.Directory.Writer.Atomically(ctx, func(ctx context.Context) error {
		if _, err := j.hold(ctx, db.ImportPlanning); err != nil {
			return err
		}
		again := b
		return j.Database.Run(ctx, &again)
	})
}

// tally counts rows by what becomes of them.
type tally struct{ creates, updates, skips, failures int }

func (t *tally) add(outcome db.ImportOutcome, n int) {
	switch outcome {
	case db.ImportCreate:
		t.creates += n
	case db.ImportUpdate:
		t.updates += n
	case db.ImportSkip:
		t.skips += n
	default:
		t.failures += n
	}
}

// staged are people who wait to be put in, by the numbers of their rows.
type staged struct {
	numbers []int
	texts   []string
}

func (s *staged) add(r *row) error {
	var value any = r.arrival
	if r.record.Organization != nil {
		value = stagedOrganization{Organization: r.record.Organization}
	}
	text, err := json.Marshal(value)
	s.numbers, s.texts = append(s.numbers, r.report.Number), append(s.texts, string(text))
	return err
}

// stagedOrganization is an organization that waits to be put in.
type stagedOrganization struct {
	Organization *format.Organization `json:"organization"`
}

// named are the names of people.
type named struct {
	hashes []uuid.UUID
	users  []db.UserID
}

func (n *named) add(a *directory.Arrival) {
	if a == nil {
		return
	}
	for _, name := range a.Names() {
		n.hashes, n.users = append(n.hashes, nameHash(name)), append(n.users, a.User)
	}
}

// faultsText returns the faults as they are stored; nil without any.
func faultsText(faults []rowFault) *string {
	if len(faults) == 0 {
		return nil
	}
	text, err := json.Marshal(faults)
	if err != nil {
		return nil // which cannot be: they are texts
	}
	stored := strings.ReplaceAll(string(text), `\u0000`, `\ufffd`) // which jsonb cannot hold
	return &stored
}

// planned ends the plan. The file and the names in it have done their work.
func (j *job) planned(ctx context.Context, im *db.Import) error {
	err := j.Directory.Writer.Atomically(ctx, func(ctx context.Context) error {
		if _, err := j.hold(ctx, db.ImportPlanning); err != nil {
			return err
		}
		_, err := j.unrecorded(ctx).NewRaw("update imports set status = ?, upload_id = null, firebase = null, format = ?, encoding = ? where id = ?",
			db.ImportPlanned, string(j.reading.Format()), j.reading.Encoding(), j.id).Exec(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := j.unrecorded(ctx).NewRaw("delete from import_names where import_id = ?", j.id).Exec(ctx); err != nil {
		return db.Problem(err)
	}
	return errors.Join(j.dropUpload(ctx, *im.UploadID), errNotOurs)
}
