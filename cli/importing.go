package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"roster/transfer/format"
)

// importing is an import as the command follows it. If its context ends while the server
// plans, applies or undoes, it cancels the import, and says how to go on.
type importing struct {
	*server
	Options
	importFlags
	id    string
	state state
}

// importFields are the fields of an import that state has.
const importFields = "id status fileName format encoding rowsTotal rowsDone creates updates skips failures error"

// state is an import at one moment.
type state struct {
	ID, Status, FileName, Format, Encoding                 string
	RowsTotal, RowsDone, Creates, Updates, Skips, Failures int
	Error                                                  string
}

// look reads the state of the import.
func (im *importing) look(ctx context.Context) error {
	var found struct{ Import *state }
	err := im.ask(ctx, `query($id: ID!) { import(id: $id) { `+importFields+` } }`, object{"id": im.id}, &found)
	switch {
	case err != nil:
		return err
	case found.Import == nil:
		return fmt.Errorf("there is no import %s", im.id)
	}
	im.state = *found.Import
	return nil
}

// act calls a mutation that takes the id of an import.
func (im *importing) act(ctx context.Context, mutation string) error {
	var done map[string]struct{ Import state }
	err := im.ask(ctx, `mutation($id: ID!) { `+mutation+`(input: {import: $id}) { import { `+importFields+` } } }`, object{"id": im.id}, &done)
	if err == nil {
		im.state = done[mutation].Import
	}
	return err
}

// How often the import is looked at, and for how long the server may be out of reach.
const (
	lookPause  = 300 * time.Millisecond
	outOfReach = 2 * time.Minute
)

// watch returns when the import is no longer in that state. It returns an error if the import
// has failed then, or was cancelled.
func (im *importing) watch(ctx context.Context, doing string) error {
	what := map[string]string{"PLANNING": "planned", "APPLYING": "applied", "UNDOING": "undone"}[doing]
	p := newProgress(im.Options, what, int64(im.state.RowsTotal), false)
	defer p.end()
	reached := time.Now()
	for im.state.Status == doing && what != "" {
		p.at(int64(im.state.RowsDone), int64(im.state.RowsTotal))
		select {
		case <-ctx.Done():
			p.end()
			return im.interrupted(ctx, doing)
		case <-time.After(lookPause):
		}
		switch err := im.look(ctx); {
		case err == nil:
			reached = time.Now()
		case ctx.Err() != nil: // told above
		case !isTransient(err) || time.Since(reached) > outOfReach:
			return fmt.Errorf("%w\nThe import goes on without being watched: roster import %s shows it", err, im.id)
		}
	}
	return im.stopped(doing)
}

// stopped returns an error if the import has failed or was cancelled while the server was doing
// that, which says how to go on.
func (im *importing) stopped(doing string) error {
	s := &im.state
	further := fmt.Sprintf("roster import -apply %s goes on, -undo takes back what is in effect", s.ID)
	rows := plural(s.RowsDone, "row", "rows")
	switch doing {
	case "PLANNING":
		further, rows = "Nothing was imported: to go on, send the file again", plural(s.RowsTotal, "row", "rows")
	case "UNDOING":
		further, rows = fmt.Sprintf("roster import -undo %s goes on", s.ID), "all but "+rows
	}
	switch s.Status {
	case "FAILED":
		return fmt.Errorf("the import failed after %s: %s\n%s", rows, s.Error, further)
	case "CANCELLED":
		return fmt.Errorf("the import was cancelled after %s\n%s", rows, further)
	}
	return nil
}

// interrupted cancels the import, since the person who watches it does not want it to go on.
func (im *importing) interrupted(ctx context.Context, doing string) error {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := im.act(ctx, "cancelImport"); err != nil {
		return fmt.Errorf("the import could not be cancelled, and goes on: %w\nroster import -cancel %s cancels it", err, im.id)
	}
	return im.stopped(doing)
}

// tell prints what became of the rows.
func (im *importing) tell() {
	s := &im.state
	fmt.Fprintf(im.Out, "%s is %s: %s of %d\n", s.ID, strings.ToLower(s.Status), plural(s.RowsDone, "row", "rows"), s.RowsTotal)
	im.tellCounts()
}

func (im *importing) tellCounts() {
	s := &im.state
	fmt.Fprintf(im.Out, "  %s, %s, %d skipped, %d failed\n", plural(s.Creates, "user created", "users created"), plural(s.Updates, "updated", "updated"), s.Skips, s.Failures)
}

// firstFaults is how many rows that fail are printed.
const firstFaults = 10

// tellPlan prints what the import is going to do, and the first rows that fail.
func (im *importing) tellPlan(ctx context.Context) error {
	s := &im.state
	fmt.Fprintf(im.Out, "%s: %s, %s, %s (%s)\n", s.FileName, s.Format, s.Encoding, plural(s.RowsTotal, "row", "rows"), s.ID)
	im.tellCounts()
	if s.Failures == 0 {
		return nil
	}
	told := 0
	err := im.rows(ctx, "FAIL", firstFaults, func(r row) error {
		for _, fault := range r.Errors {
			fmt.Fprintf(im.Out, "  line %d %s: %s\n", r.Line, orNobody(r.Email), fault)
		}
		told++
		if told == firstFaults {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if more := s.Failures - told; err == nil && more > 0 {
		fmt.Fprintf(im.Out, "  and %d more; -report FILE writes them all\n", more)
	}
	return err
}

var errEnough = errors.New("enough")

// row is a row of a file, and what becomes of it.
type row struct {
	Line             int
	Outcome          string
	Email            *string
	Errors, Warnings []rowFault
}

// rowFault is what is wrong with a row.
type rowFault struct {
	Code, Message string
	Column        *string
}

// String returns the code and the message, with the column if there is one.
func (f rowFault) String() string {
	if f.Column != nil {
		return fmt.Sprintf("%s %s: %s", f.Code, *f.Column, f.Message)
	}
	return f.Code + " " + f.Message
}

// rows calls each with the rows of the file, or with those of one outcome unless that is empty,
// in their order. It reads that many at a time.
func (im *importing) rows(ctx context.Context, outcome string, page int, each func(row) error) error {
	variables := object{"id": im.id, "first": page}
	if outcome != "" {
		variables["outcome"] = outcome
	}
	for {
		var found struct {
			Import *struct {
				Rows struct {
					Nodes    []row
					PageInfo struct {
						HasNextPage bool
						EndCursor   string
					}
				}
			}
		}
		err := im.ask(ctx, `query($id: ID!, $outcome: ImportOutcome, $first: Int, $after: String) { import(id: $id) { rows(outcome: $outcome, first: $first, after: $after) {
			nodes { line outcome email errors { code message column } warnings { code message column } } pageInfo { hasNextPage endCursor } } } }`, variables, &found)
		if err != nil {
			return err
		}
		if found.Import == nil {
			return fmt.Errorf("there is no import %s", im.id)
		}
		for _, r := range found.Import.Rows.Nodes {
			if err := each(r); err != nil {
				return err
			}
		}
		if !found.Import.Rows.PageInfo.HasNextPage {
			return nil
		}
		variables["after"] = found.Import.Rows.PageInfo.EndCursor
	}
}

// reportPage is how many rows of a report are read at a time.
const reportPage = 100

// writeReport writes the report, if one is wished for: a line for each fault of a row, and one
// for a row without any. Cells are guarded, as those of exports are.
func (im *importing) writeReport(ctx context.Context) error {
	if im.report == "" {
		return nil
	}
	p := newProgress(im.Options, "report", int64(im.state.RowsTotal), false)
	defer p.end()
	return intoFile(im.report, im.Out, func(w io.Writer) error {
		lines := csv.NewWriter(w)
		written := int64(0)
		write := func(cells ...string) error {
			for i := range cells {
				cells[i] = format.Guard(cells[i])
			}
			return lines.Write(cells)
		}
		if err := write("line", "outcome", "email", "code", "column", "message"); err != nil {
			return err
		}
		err := im.rows(ctx, "", reportPage, func(r row) error {
			faults := slices.Concat(r.Errors, r.Warnings)
			if len(faults) == 0 {
				faults = []rowFault{{}}
			}
			for _, f := range faults {
				if err := write(strconv.Itoa(r.Line), r.Outcome, orEmpty(r.Email), f.Code, orEmpty(f.Column), f.Message); err != nil {
					return err
				}
			}
			written++
			p.at(written, int64(im.state.RowsTotal))
			return nil
		})
		if err != nil {
			return err
		}
		lines.Flush()
		return lines.Error()
	})
}

// plural returns the number with the word for one or for several.
func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + several
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func orNobody(text *string) string {
	if text == nil {
		return "(no address)"
	}
	return *text
}
