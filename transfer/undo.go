package transfer

import (
	"context"
	"encoding/json"

	"roster/db"
)

// changedSince is the code of the warning on rows whose people stay as they are, since somebody
// has changed them after the import, or they have signed in.
const changedSince = "CHANGED_SINCE"

// undo takes the last rows that are in effect back, or ends that.
func (j *job) undo(ctx context.Context, im *db.Import) error {
	if im.RowsDone == 0 {
		if err := j.end(ctx, db.ImportUndoing, db.ImportUndone); err != nil {
			return err
		}
		return errNotOurs
	}
	return j.Directory.Writer.Atomically(ctx, j.undoChunk)
}

// undoChunk takes a chunk of rows back, in the transaction of ctx.
func (j *job) undoChunk(ctx context.Context) error {
	im, err := j.hold(ctx, db.ImportUndoing)
	if err != nil {
		return err
	}
	first := max(0, im.RowsDone-chunkRows)
	users, err := db.Select[db.UserID](ctx, j.Database, `select distinct user_id from import_rows
		where import_id = $1 and number > $2 and number <= $3 and outcome in ('CREATE', 'UPDATE') and user_id is not null`, j.id, first, im.RowsDone)
	if err != nil {
		return err
	}
	left, err := j.Directory.Withdraw(ctx, j.id, users)
	if err != nil {
		return err
	}
	warning, err := json.Marshal([]rowFault{{Code: changedSince, Message: "Somebody has changed this user since, or they have signed in: they stay as they are."}})
	if err != nil {
		return err
	}
	var b db.Batch
	if len(left) > 0 {
		b.Exec(`update import_rows set warnings = coalesce(warnings, '[]') || $5::jsonb where import_id = $1 and number > $2 and number <= $3 and user_id = any($4)`,
			j.id, first, im.RowsDone, left, string(warning))
	}
	b.Exec("update imports set rows_done = $2 where id = $1", j.id, first)
	return j.Database.Run(ctx, &b)
}
