package transfer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/credential"
	"roster/db"
	"roster/db/list"
	"roster/directory"
	"roster/problem"
	"roster/transfer/format"
)

// OnUnknown is what becomes of a row that names a role, permission or organization which does
// not exist.
type OnUnknown string

// The ways to treat what is unknown.
const (
	UnknownFails   OnUnknown = "FAIL"
	UnknownIgnored OnUnknown = "IGNORE"
	// UnknownOrganizationsMade makes organizations; roles and permissions fail.
	UnknownOrganizationsMade OnUnknown = "CREATE_ORGANIZATIONS"
)

// PlanImportInput is a file of people, and how it is to be read.
type PlanImportInput struct {
	File       Upload
	Format     format.Format
	OnConflict directory.OnConflict
	OnUnknown  OnUnknown
	// Organization is where people go of whom the file says nothing; nil means the default one.
	Organization *directory.OrganizationRef
	// Columns are the file's names of columns by ours, as a JSON object; nil means none.
	Columns  json.RawMessage
	Firebase *FirebaseScryptInput
}

// FirebaseScryptInput has the parameters of the password hashes of a Firebase project, as its
// console shows them; the texts are in base64.
type FirebaseScryptInput struct {
	SignerKey, SaltSeparator string
	Rounds, MemoryCost       int
}

// ImportActionInput names an import.
type ImportActionInput struct{ Import string }

// PlanImport begins to read a file, and returns the import at once: any server goes on with
// it. Nothing is put into the directory.
func (s *Service) PlanImport(ctx context.Context, in PlanImportInput) (*db.Import, error) {
	if err := mayImport(ctx); err != nil {
		return nil, err
	}
	im, err := s.newImport(ctx, in)
	if err != nil {
		return nil, err
	}
	err = s.Directory.Writer.Write(ctx, im.CreatedBy, func(ctx context.Context, w *changes.Write) error {
		im.CreatedAt = w.At
		if _, err := w.NewInsert().Model(im).Exec(ctx); err != nil {
			return err
		}
		changes.WrittenIn(ctx).Then(s.wakeUp)
		return w.Record(changes.ImportPlanned, im.ID.String(), nil, nil, changes.Values{"fileName": im.FileName, "onConflict": im.OnConflict, "onUnknown": im.OnUnknown})
	})
	return im, err
}

// mayImport returns FORBIDDEN unless the actor may import people, and write them.
func mayImport(ctx context.Context) error {
	if err := access.Require(ctx, access.ImportsWrite); err != nil {
		return err
	}
	return access.Require(ctx, access.UsersWrite)
}

// newImport returns the import that the input describes, or its faults.
func (s *Service) newImport(ctx context.Context, in PlanImportInput) (*db.Import, error) {
	actor := access.ActorOf(ctx)
	im := &db.Import{
		ID: db.NewID[db.ImportKind](), Status: db.ImportPlanning, Format: string(in.Format), OnConflict: string(in.OnConflict), OnUnknown: string(in.OnUnknown),
		CreatedBy: actor.String(), Columns: json.RawMessage("{}"),
	}
	actBy(im, actor)
	var wrong problem.List
	if in.File.IsEmpty() {
		wrong.Add(problem.Invalid, "input.file", "There is no file: send it as a part of a multipart/form-data request.")
	} else {
		im.UploadID, im.FileName = &in.File.ID, in.File.Name
	}
	if columns, err := columnsOf(in.Columns); err != nil {
		wrong.Add(problem.Invalid, "input.columns", "%v", err)
	} else if err := (format.Options{Format: in.Format, Columns: columns}).Check(); err != nil {
		wrong.Add(problem.Invalid, "input.columns", "%s", problem.All(err)[0].Message)
	} else if len(in.Columns) > 0 {
		im.Columns = in.Columns
	}
	if in.Firebase != nil {
		if _, err := in.Firebase.scrypt(); err != nil {
			wrong.Add(problem.Invalid, "input.firebase", "%v", err)
		}
		text, err := json.Marshal(in.Firebase)
		if err != nil {
			return nil, err
		}
		im.Firebase = s.Keyring.Seal(firebasePurpose, text)
	}
	org, err := s.Directory.PlaceOfStrays(ctx, in.Organization)
	switch {
	case err != nil:
		return nil, err
	case org == nil:
		wrong.Add(problem.NotFound, "input.organization", "There is no such organization.")
	default:
		im.OrgID = *org
	}
	return im, wrong.Err()
}

// firebasePurpose is what the parameters of Firebase are sealed for.
const firebasePurpose = "import"

// actBy notes on whose authority the import goes on.
func actBy(im *db.Import, actor *access.Actor) {
	im.Actor, im.ActorOrgID = actor.String(), actor.Organization
}

// maxColumns is the most columns that can be mapped.
const maxColumns = 100

// columnsOf returns the names of the file's columns by ours.
func columnsOf(text json.RawMessage) (map[string]string, error) {
	columns := map[string]string{}
	if len(text) == 0 {
		return columns, nil
	}
	if err := json.Unmarshal(text, &columns); err != nil || len(columns) > maxColumns {
		return nil, problem.New(problem.Invalid, `Must be a JSON object of names, such as {"email": "E-mail"}.`)
	}
	for ours, theirs := range columns {
		if theirs == "" {
			return nil, problem.New(problem.Invalid, "The column for %s has no name.", ours)
		}
	}
	return columns, nil
}

// scrypt returns the parameters in the form in which hashes need them.
func (in *FirebaseScryptInput) scrypt() (*credential.FirebaseScrypt, error) {
	p := &credential.FirebaseScrypt{Rounds: in.Rounds, MemoryCost: in.MemoryCost}
	var err, separatorErr error
	p.SignerKey, err = base64.StdEncoding.DecodeString(in.SignerKey)
	p.SaltSeparator, separatorErr = base64.StdEncoding.DecodeString(in.SaltSeparator)
	if err != nil || separatorErr != nil || len(p.SignerKey) == 0 {
		return nil, problem.New(problem.Invalid, "The signer key and the salt separator are in base64.")
	}
	// A hash of zeros shows whether they are parameters at all.
	_, err = credential.FirebaseHash(*p, make([]byte, 8), make([]byte, len(p.SignerKey)))
	return p, err
}

// ApplyImport begins, or goes on, to put in what was planned, on the authority of the actor.
func (s *Service) ApplyImport(ctx context.Context, in ImportActionInput) (*db.Import, error) {
	return s.change(ctx, in, changes.ImportApplied, func(im *db.Import) error {
		switch im.Status {
		case db.ImportApplying, db.ImportApplied:
			return nil
		case db.ImportPlanned, db.ImportFailed, db.ImportCancelled:
			if im.UploadID == nil && !im.Withdrawn {
				return s.begin(ctx, im, db.ImportApplying)
			}
		}
		return notNow(im, "applied")
	})
}

// CancelImport stops an import between two chunks; what is in effect stays so.
func (s *Service) CancelImport(ctx context.Context, in ImportActionInput) (*db.Import, error) {
	return s.change(ctx, in, changes.ImportCancelled, func(im *db.Import) error {
		switch im.Status {
		case db.ImportCancelled:
			return nil
		case db.ImportPlanning, db.ImportPlanned, db.ImportApplying, db.ImportUndoing:
			at := s.now()
			im.Status, im.FinishedAt = db.ImportCancelled, &at
			return nil
		}
		return notNow(im, "cancelled")
	})
}

// UndoImport begins, or goes on, to take back what the import has made or changed, on the
// authority of the actor. Users whom somebody has changed since, or who have signed in, and
// organizations that are in use stay as they are, with a warning on their rows.
func (s *Service) UndoImport(ctx context.Context, in ImportActionInput) (*db.Import, error) {
	return s.change(ctx, in, changes.ImportUndone, func(im *db.Import) error {
		switch im.Status {
		case db.ImportUndoing, db.ImportUndone:
			return nil
		case db.ImportApplied, db.ImportFailed, db.ImportCancelled:
			if im.UploadID == nil {
				im.Withdrawn = true
				return s.begin(ctx, im, db.ImportUndoing)
			}
		}
		return notNow(im, "undone")
	})
}

// begin makes servers carry the rows out, or take them back, on the authority of the actor.
func (s *Service) begin(ctx context.Context, im *db.Import, status db.ImportStatus) error {
	if err := s.hasRows(im); err != nil {
		return err
	}
	im.Status, im.FinishedAt, im.Error, im.ErrorCode = status, nil, nil, nil
	actBy(im, access.ActorOf(ctx))
	return nil
}

func notNow(im *db.Import, done string) error {
	return problem.At(problem.Conflict, "input.import", "The import is %s: it cannot be %s.", im.Status, done)
}

// change changes the state of an import, and records the action if it has changed.
func (s *Service) change(ctx context.Context, in ImportActionInput, action changes.Action, edit func(*db.Import) error) (*db.Import, error) {
	if err := mayImport(ctx); err != nil {
		return nil, err
	}
	var im *db.Import
	err := s.Directory.Writer.Write(ctx, access.ActorOf(ctx).String(), func(ctx context.Context, w *changes.Write) error {
		id, err := db.ParseID[db.ImportKind](in.Import)
		if err != nil {
			return noImport()
		}
		if im, err = db.SelectOne[db.Import](ctx, s.Database, "select * from imports where id = $1 for no key update", id); err != nil {
			return err
		}
		if im == nil {
			return noImport()
		}
		before := im.Status
		if err := edit(im); err != nil || im.Status == before {
			return err
		}
		if _, err := w.NewUpdate().Model(im).Column("status", "finished_at", "error", "error_code", "actor", "actor_org_id", "withdrawn").WherePK().Exec(ctx); err != nil {
			return err
		}
		changes.WrittenIn(ctx).Then(s.wakeUp)
		return w.Record(action, im.ID.String(), nil, changes.Values{"status": before}, changes.Values{"status": im.Status})
	})
	return im, err
}

func noImport() error {
	return problem.At(problem.NotFound, "input.import", "There is no such import.")
}

// Import returns the import with that id, or nil.
func (s *Service) Import(ctx context.Context, id string) (*db.Import, error) {
	parsed, err := db.ParseID[db.ImportKind](id)
	if err != nil {
		return nil, access.Require(ctx, access.ImportsWrite)
	}
	found, err := s.ImportsByID(ctx, []db.ImportID{parsed})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// ImportsByID returns the imports with those ids, in their order; nil for those that do not
// exist.
func (s *Service) ImportsByID(ctx context.Context, ids []db.ImportID) ([]*db.Import, error) {
	if err := access.Require(ctx, access.ImportsWrite); err != nil {
		return nil, err
	}
	rows, err := db.Select[db.Import](ctx, s.Database, "select * from imports where id = any($1)", ids)
	if err != nil {
		return nil, err
	}
	of := make(map[db.ImportID]*db.Import, len(rows))
	for i := range rows {
		of[rows[i].ID] = &rows[i]
	}
	found := make([]*db.Import, len(ids))
	for i, id := range ids {
		found[i] = of[id]
	}
	return found, nil
}

// Imports returns a page of all imports, in the order in which they were begun.
func (s *Service) Imports(ctx context.Context, page list.Page) (*list.Connection[db.Import], error) {
	if err := access.Require(ctx, access.ImportsWrite); err != nil {
		return nil, err
	}
	return list.Query[db.Import]{
		Name: "imports", From: "imports im", Alias: "im", Columns: db.Columns[db.Import](s.Database, nil),
		Key: list.Key[db.Import]{
			Name: "CREATED_AT", Expression: "im.created_at", Column: "created_at", Type: list.Time,
			Value: func(im *db.Import) string { return list.TimeValue(&im.CreatedAt) },
		},
		ID: func(im *db.Import) uuid.UUID { return uuid.UUID(im.ID) },
	}.Page(ctx, s.Database, page)
}

// importRow is a row in the lists of several imports. Parent is the number of its import.
type importRow struct {
	Row    *db.ImportRow `bun:"embed:row__"`
	Parent int
}

// ImportRows returns a page of the rows of each of the imports, in the order of the file; of
// one outcome, unless that is nil.
func (s *Service) ImportRows(ctx context.Context, imports []db.ImportID, page list.Page, outcome *db.ImportOutcome) ([]*list.Connection[db.ImportRow], error) {
	if err := access.Require(ctx, access.ImportsWrite); err != nil {
		return nil, err
	}
	conditions := []list.Clause{list.Where("ir.import_id = p.id")}
	if outcome != nil {
		conditions = append(conditions, list.Where("ir.outcome = ?", *outcome))
	}
	order := list.Order{Name: "NUMBER", Expression: "ir.number", Tie: "ir.import_id", Type: list.Int}
	sorted := order
	sorted.Expression, sorted.Tie = "x.number", "x.import_id"
	connections, _, err := list.ByParent[importRow, db.ImportRow]{
		Name: "import.rows", Number: len(imports),
		Parents:    list.Where("unnest(?::uuid[]) with ordinality p (id, n)", imports),
		From:       func(q *list.Statement, _ *list.Span) { q.Add("import_rows ir") },
		Conditions: conditions,
		Keyset: func(span list.Span) []list.Clause { // of one import, the number alone decides
			return span.Conditions(false, func(c *list.Cursor, compare string) list.Clause {
				return list.Where("ir.number "+compare+" ?::text::bigint", c.Value)
			})
		},
		Row: "ir.*, p.n as parent", Columns: "x.parent, " + list.ColumnsAs[db.ImportRow](s.Database, "x", "row__", nil)[1:], Order: order, Sorted: sorted,
		Node: func(r *importRow) *db.ImportRow { return r.Row }, Parent: func(r *importRow) int { return r.Parent },
		Cursor: func(r *importRow) list.Cursor {
			return list.Cursor{Value: strconv.Itoa(r.Row.Number), ID: uuid.UUID(r.Row.ImportID)}
		},
	}.Page(ctx, s.Database, page)
	return connections, err
}

// rowLife is how long the rows of an import are kept since it has ended, or was begun if it
// waits to be applied.
const rowLife = 30 * 24 * time.Hour

// hasRows returns CONFLICT if the rows of the import are no longer kept.
func (s *Service) hasRows(im *db.Import) error {
	since := im.CreatedAt
	if im.FinishedAt != nil {
		since = *im.FinishedAt
	}
	if s.now().Sub(since) < rowLife {
		return nil
	}
	return problem.At(problem.Conflict, "input.import", "The rows of the import are no longer kept.")
}

// dropOldRows deletes rows that are no longer kept. They have addresses. It waits for longer
// than hasRows, so that no import begins meanwhile.
func (s *Service) dropOldRows(ctx context.Context) error {
	old, err := db.Select[db.ImportID](ctx, s.Database, `select im.id from imports im where coalesce(im.finished_at, im.created_at) < $1 and im.status not in ('PLANNING', 'APPLYING', 'UNDOING')
		and exists (select from import_rows ir where ir.import_id = im.id)`, s.now().Add(-rowLife-time.Hour))
	if err != nil {
		return err
	}
	for _, id := range old {
		for _, table := range []string{"import_rows", "import_people", "import_names"} {
			if _, err := s.unrecorded(ctx).NewRaw("delete from "+table+" where import_id = ?", id).Exec(ctx); err != nil {
				return db.Problem(err)
			}
		}
	}
	return nil
}
