package access

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"roster/changes"
	"roster/db"
)

// applyTime bounds the reading of a catalogue; until it is there, the database
// answers.
const applyTime = 5 * time.Second

// Apply takes in changes that were committed, on this server or another. The
// feed calls it, one call at a time, with all changes in order, and also when
// there are none; again asks for the next call at once.
//
// A change of roles makes it read the catalogue anew, as does the time of former
// keys. What was read is published at the next call, when the floors of everything that was committed before it was
// read are raised.
func (e *Engine) Apply(ctx context.Context, rows []db.Change) (again bool) {
	rolesChanged := e.invalidate(rows)
	if rolesChanged {
		e.generation.Add(1)
	}
	switch {
	case rolesChanged:
	case e.staged != nil && e.current(e.staged):
		e.publish()
		return false
	case e.current(e.snapshot.Load()) && e.now() < e.snapshot.Load().due:
		return false
	}
	e.staged = nil
	generation := e.generation.Load() // before the database is read
	ctx, cancel := context.WithTimeout(ctx, applyTime)
	defer cancel()
	catalogue, err := e.readCatalogue(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) { // else the server stops
			e.log.WarnContext(ctx, "the catalogue could not be read; the database answers until it can", "cause", err)
		}
		return false
	}
	e.staged = newSnapshot(catalogue, generation)
	if e.without.staging {
		e.publish()
		return false
	}
	return true
}

// publish puts the staged catalogue to use.
func (e *Engine) publish() {
	close(e.snapshot.Swap(e.staged).replaced)
	e.staged = nil
}

// Reset forgets everything: the feed has lost count.
func (e *Engine) Reset() {
	raise(&e.floors.all, e.epoch.Add(1))
	e.keyEpoch.Add(1)
	e.generation.Add(1)
}

// Committed takes in what this server itself has just committed, before it is
// acknowledged: from then on nothing older is answered here. The feed will bring
// it, too.
func (e *Engine) Committed(rows []db.Change) {
	if !e.without.committed && e.invalidate(rows) {
		e.generation.Add(1)
	}
}

// KeyEpoch counts changes that concern what API keys may do.
func (e *Engine) KeyEpoch() uint64 { return e.keyEpoch.Load() }

// invalidate raises the floors of what the changes concern, and reports whether
// roles or permissions are among that.
func (e *Engine) invalidate(rows []db.Change) (definitions bool) {
	if len(rows) == 0 {
		return false
	}
	epoch := e.epoch.Add(1)
	credentials := false
	for i := range rows {
		row := &rows[i]
		action := changes.Named(row.Action)
		if !action.Known() { // a later version has written it: it may concern anyone
			raise(&e.floors.all, epoch)
			definitions, credentials = true, true
			continue
		}
		effects := action.Effects()
		definitions = definitions || effects.Definitions
		credentials = credentials || effects.Credentials
		if effects.Names || effects.Entitlements {
			e.raiseFloors(row, effects, epoch)
		}
	}
	if credentials {
		e.keyEpoch.Add(1)
	}
	return definitions
}

// raiseFloors raises the floors of the member, user or organization that a change
// was made to.
func (e *Engine) raiseFloors(row *db.Change, effects changes.Effects, epoch uint64) {
	switch kind, _, _ := strings.Cut(row.Subject, "_"); kind {
	case db.MembershipKind{}.Prefix():
		e.raiseMember(row, epoch)
	case db.UserKind{}.Prefix():
		raiseParty[db.UserKind](e, &e.floors.users, row, effects, epoch)
	case db.OrganizationKind{}.Prefix():
		raiseParty[db.OrganizationKind](e, &e.floors.organizations, row, effects, epoch)
	}
}

// raiseMember finds the user of a changed membership among the values.
func (e *Engine) raiseMember(row *db.Change, epoch uint64) {
	user, ok := row.Member()
	if !ok || row.OrgID == nil {
		raise(&e.floors.all, epoch) // cannot be, but must not keep anything alive
		return
	}
	place := MemberKey{user, *row.OrgID}
	raise(&e.floors.places[placeHash(&place)%stripes], epoch)
}

// raiseParty raises the floors of a user's or an organization's names and
// entitlements.
func raiseParty[K db.Kind](e *Engine, entitlements *[stripes]atomic.Uint64, row *db.Change, effects changes.Effects, epoch uint64) {
	id, err := db.ParseID[K](row.Subject)
	if err != nil {
		raise(&e.floors.all, epoch) // cannot be, either
		return
	}
	if effects.Names {
		raise(&e.floors.names[idHash(id)%stripes], epoch)
	}
	if effects.Entitlements {
		raise(&entitlements[idHash(id)%stripes], epoch)
	}
}
