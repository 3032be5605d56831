package transfer

import (
	"context"

	"roster/db"
	"roster/problem"
)

// changedSince is the code of the warning on rows whose people or organizations stay as they
// are, above all since somebody has changed them after the import, or they have signed in.
const changedSince = "CHANGED_SINCE"

// undo takes the last rows that are in effect back. Rows anywhere in the file name the
// organizations that rows have made, so these come last.
func (j *job) undo(ctx context.Context, im *db.Import) error {
	if im.RowsDone > 0 {
		return j.inChunks(ctx, j.undoChunk)
	}
	return j.inChunks(ctx, j.undoOrganizations)
}

// undoChunk takes the people of a chunk of rows back, in the transaction of ctx. If refused is
// not nil, it is what keeps the one row of the chunk as it is.
func (j *job) undoChunk(ctx context.Context, refused error) error {
	im, err := j.hold(ctx, db.ImportUndoing)
	if err != nil {
		return err
	}
	first := max(0, im.RowsDone-j.size)
	rows, err := db.Select[effect[db.UserKind]](ctx, j.Database, `select number, user_id as "on" from import_rows
		where import_id = $1 and number > $2 and number <= $3 and outcome in ('CREATE', 'UPDATE') and user_id is not null`, j.id, first, im.RowsDone)
	if err != nil {
		return err
	}
	var b db.Batch
	if err := takeBack(ctx, j, &b, rows, refused, j.Directory.Withdraw); err != nil {
		return err
	}
	b.Exec("update imports set rows_done = $2 where id = $1", j.id, first)
	return j.Database.Run(ctx, &b)
}

// undoOrganizations takes the organizations of a chunk of rows back, in the transaction of ctx,
// or ends the import if there are none left. If refused is not nil, it is what keeps the one
// organization of the chunk as it is.
func (j *job) undoOrganizations(ctx context.Context, refused error) error {
	if _, err := j.hold(ctx, db.ImportUndoing); err != nil {
		return err
	}
	rows, err := db.Select[effect[db.OrganizationKind]](ctx, j.Database, `select number, org_id as "on" from import_rows
		where import_id = $1 and org_id is not null order by number desc limit $2`, j.id, j.size)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return j.end(ctx, db.ImportUndoing, db.ImportUndone)
	}
	var b db.Batch
	if err := takeBack(ctx, j, &b, rows, refused, j.Directory.WithdrawOrganizations); err != nil {
		return err
	}
	b.Exec("update import_rows set org_id = null where import_id = $1 and org_id is not null and number >= $2", j.id, rows[len(rows)-1].Number)
	return j.Database.Run(ctx, &b)
}

// effect says on whom, or on which organization, a row has had an effect.
type effect[K db.Kind] struct {
	Number int
	On     db.ID[K]
}

// takeBack calls withdraw to take the effects of rows back, and adds the statement to the batch
// which notes on the rows what is left as it is, and why. If refused is not nil, that is why
// everything is left.
func takeBack[K db.Kind](ctx context.Context, j *job, b *db.Batch, rows []effect[K], refused error,
	withdraw func(context.Context, db.ImportID, []db.ID[K]) (left map[db.ID[K]]string, err error),
) error {
	ids := make([]db.ID[K], len(rows))
	for i, row := range rows {
		ids[i] = row.On
	}
	left := make(map[db.ID[K]]string, len(rows))
	if refused != nil {
		for _, id := range ids {
			left[id] = problem.All(refused)[0].Message
		}
	} else if found, err := withdraw(ctx, j.id, ids); err != nil {
		return err
	} else {
		left = found
	}
	var numbers []int
	var warnings []*string
	for _, row := range rows {
		if why := left[row.On]; why != "" {
			numbers, warnings = append(numbers, row.Number), append(warnings, faultsText([]rowFault{{Code: changedSince, Message: why}}))
		}
	}
	b.Exec(`update import_rows r set warnings = coalesce(r.warnings, '[]') || n.warnings::jsonb
		from unnest($2::bigint[], $3::text[]) n (number, warnings) where r.import_id = $1 and r.number = n.number`, j.id, numbers, warnings)
	return nil
}
