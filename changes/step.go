package changes

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"roster/db"
)

// This file holds every statement of the feed. A database without xid8 and snapshots
// would need other functions in place of readState and readSince, over a counter row.

// stateSQL reads the present state of the database. Its incarnation is the moment at
// which its statistics began: it stays the same in an orderly restart, but not in a
// crash, a fail-over or a restore. After those, transactions that a snapshot includes
// can be gone, and their numbers used again. Its timeline is the cluster, and PostgreSQL's
// number of the timeline in it.
const stateSQL = `(select pg_current_snapshot()::text as snapshot,
	coalesce(pg_stat_get_bgwriter_stat_reset_time()::text, '') as incarnation,
	case when not pg_is_in_recovery() then left(md5(
		(select system_identifier from pg_control_system()) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)), 8) end as timeline,
	pg_is_in_recovery() as standby) as now`

// sinceSQL reads the changes that became visible after the snapshot $1, at most $2 of
// them, and the present state, even if there are no changes.
//
// $1 did not see the transactions that ran then, of which the statement reads those
// that have ended since, nor all that began later. Each of them is a range of numbers.
// So the cost depends on the new changes alone, and not on the size of the table, on
// how long the oldest transaction has been open, or on how much it has written so far.
// The two bounds and the order make the planner use the index on xid, whatever it
// knows about the table.
const sinceSQL = `select now.*, new.* from ` + stateSQL + ` left join lateral (
	select c.* from (
		select running, running from pg_snapshot_xip($1::pg_snapshot) as running
		where pg_visible_in_snapshot(running, pg_current_snapshot())
		union all
		select pg_snapshot_xmax($1::pg_snapshot), pg_snapshot_xmax(pg_current_snapshot())
	) as unseen (first, last) cross join lateral (
		select id, xid, at, actor, action, subject, org_id, before, after, request_id
		from changes where xid >= first and xid <= last order by xid limit $2
	) as c limit $2
) as new on true`

// state is the state of the database at a moment.
type state struct {
	Snapshot    string
	Incarnation string
	Timeline    string
	Standby     bool
}

// position returns the transactions that the snapshot sees.
func (s state) position() (Revision, error) {
	// The snapshot of a standby does not know which transactions still run.
	if s.Standby {
		return Revision{}, errors.New("the changes cannot be followed on a standby")
	}
	r, err := ParseRevision(s.Snapshot)
	if err != nil {
		return Revision{}, fmt.Errorf("the database's snapshot %.80q: %w", s.Snapshot, err)
	}
	r.timeline = s.Timeline
	return r, nil
}

// readState reads the present position and incarnation of the database.
func readState(ctx context.Context, d *db.DB) (position Revision, incarnation string, err error) {
	now, err := db.SelectOne[state](ctx, d, "select * from "+stateSQL)
	if err != nil {
		return Revision{}, "", err
	}
	position, err = now.position()
	return position, now.Incarnation, err
}

// readSince reads the present position and incarnation, and the changes between from
// and that position, at most limit of them.
func readSince(ctx context.Context, d *db.DB, from Revision, limit int) (position Revision, incarnation string, all []db.Change, err error) {
	rows, err := db.Select[struct {
		state
		db.Change
	}](ctx, d, sinceSQL, from.Snapshot(), limit)
	if err != nil {
		return Revision{}, "", nil, err
	}
	if position, err = rows[0].position(); err != nil {
		return Revision{}, "", nil, err
	}
	if !rows[0].ID.IsZero() {
		all = make([]db.Change, len(rows))
		for i := range rows {
			all[i] = rows[i].Change
		}
		sortByCommit(all)
	}
	return position, rows[0].Incarnation, all, nil
}

// sortByCommit sorts transactions by their last ids, and the changes of each by their
// ids.
//
// A transaction that waited for a lock of another one makes its ids after the other has
// committed. Its number can still be the lower one, because it got the number with its
// first write, or while it waited. The order of ids from different servers is only as
// exact as their clocks.
func sortByCommit(all []db.Change) {
	last := map[db.Revision]db.ChangeID{}
	for i := range all {
		if xid, id := all[i].XID, all[i].ID; compareIDs(id, last[xid]) > 0 {
			last[xid] = id
		}
	}
	slices.SortFunc(all, func(a, b db.Change) int {
		return cmp.Or(compareIDs(last[a.XID], last[b.XID]), compareIDs(a.ID, b.ID))
	})
}

func compareIDs(a, b db.ChangeID) int { return bytes.Compare(a[:], b[:]) }
