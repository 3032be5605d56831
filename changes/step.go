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

// All that the feed asks of PostgreSQL is in this file. An engine without xid8
// and snapshots needs another pair of functions, over a counter row.

// now is where the database stands. The moment at which its statistics began is
// kept through an orderly restart, but not through a crash, a fail-over or a
// restore: after those, transactions that a snapshot told of can be gone and
// their numbers used again.
const now = `(select pg_current_snapshot()::text as snapshot,
	coalesce(pg_stat_get_bgwriter_stat_reset_time()::text, '') as memory,
	pg_is_in_recovery() as standby) as now`

// since reads what became visible after the snapshot $1, at most $2 rows, and
// the snapshot of the statement itself, which comes along even when there is
// nothing new.
//
// What $1 did not see are the transactions that ran then, of which those matter
// that have ended since, and all that began later. Each is a range of numbers,
// so that the cost depends on what is new: neither on the size of the table,
// nor on how long the oldest transaction has been open, nor on how much it has
// written so far. The two bounds and the order make the planner take the index
// on xid whatever it knows about the table.
const since = `select now.*, new.* from ` + now + ` left join lateral (
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

// place is where the database stands.
type place struct {
	Snapshot string
	Memory   string
	Standby  bool
}

// revision gives the place as a Revision.
func (p place) revision() (Revision, error) {
	// The snapshot of a standby does not tell which transactions still run.
	if p.Standby {
		return Revision{}, errors.New("the changes cannot be followed on a standby")
	}
	r, err := ParseRevision(p.Snapshot)
	if err != nil {
		return Revision{}, fmt.Errorf("the database's snapshot %.80q: %w", p.Snapshot, err)
	}
	return r, nil
}

// readPlace asks where the database stands.
func readPlace(ctx context.Context, d *db.DB) (position Revision, memory string, err error) {
	p, err := db.SelectOne[place](ctx, d, "select * from "+now)
	if err != nil {
		return Revision{}, "", err
	}
	position, err = p.revision()
	return position, p.Memory, err
}

// readSince reads where the database stands and the changes between position
// and there, though no more than limit.
func readSince(ctx context.Context, d *db.DB, from Revision, limit int) (position Revision, memory string, all []db.Change, err error) {
	rows, err := db.Select[struct {
		place
		db.Change
	}](ctx, d, since, from.String(), limit)
	if err != nil {
		return Revision{}, "", nil, err
	}
	if position, err = rows[0].revision(); err != nil {
		return Revision{}, "", nil, err
	}
	if !rows[0].ID.IsZero() {
		all = make([]db.Change, len(rows))
		for i := range rows {
			all[i] = rows[i].Change
		}
		sortByCommit(all)
	}
	return position, rows[0].Memory, all, nil
}

// sortByCommit puts transactions into the order of their last ids, and the
// changes of each into the order of their ids.
//
// A transaction that waited for another one's lock makes ids after the other
// has committed, while its number may be the lower one: it got that with its
// first write, or while it stood in the queue. Ids made by different servers
// are as good as their clocks.
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
