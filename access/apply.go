package access

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/changes"
	"roster/db"
)

// catalogueTimeout bounds the reading of a catalogue. Until it is read, the database
// answers.
const catalogueTimeout = 5 * time.Second

// Apply applies changes that were committed, on this server or another. The feed
// calls it, one call at a time, with all changes in order, and with none if nothing
// changed. Apply reports whether it has to be called again at once.
//
// It reads the catalogue anew after a change of roles, and when a former key may have
// ceased to answer. It publishes that catalogue at the next call: then every change
// that was committed before the reading has ended what it concerns.
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
	generation := e.generation.Load() // read before the catalogue
	ctx, cancel := context.WithTimeout(ctx, catalogueTimeout)
	defer cancel()
	catalogue, err := e.readCatalogue(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) { // which happens when the server stops
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

// publish replaces the catalogue in use by the staged one.
func (e *Engine) publish() {
	close(e.snapshot.Swap(e.staged).replaced)
	e.staged = nil
}

// Reset invalidates everything in memory. The feed calls it when it does not know
// what has changed.
func (e *Engine) Reset() {
	e.endAll(e.epoch.Add(1))
	e.keyEpoch.Add(1)
	e.generation.Add(1)
}

// Committed invalidates what a commit of this server concerns. It has to be called
// before the commit is acknowledged: no later answer of this server is older. The
// feed will deliver the same changes to Apply.
func (e *Engine) Committed(rows []db.Change) {
	if !e.without.committed && e.invalidate(rows) {
		e.generation.Add(1)
	}
}

// KeyEpoch returns the number of changes so far that may have ended API keys or
// changed what they may do.
func (e *Engine) KeyEpoch() uint64 { return e.keyEpoch.Load() }

// invalidate ends the entries of what the changes concern. It reports whether one of
// them changes the definition of a role or a permission.
func (e *Engine) invalidate(rows []db.Change) (definitions bool) {
	if len(rows) == 0 {
		return false
	}
	epoch := e.epoch.Add(1)
	credentials := false
	for i := range rows {
		row := &rows[i]
		action := changes.ActionByName(row.Action)
		if !action.Known() { // a later version recorded it: it may concern anyone
			e.endAll(epoch)
			definitions, credentials = true, true
			continue
		}
		effects := action.Effects()
		definitions = definitions || effects.Definitions
		credentials = credentials || effects.Credentials
		if effects.Names || effects.Entitlements {
			e.end(row, effects, ending{epoch, row.XID})
		}
	}
	if credentials {
		e.keyEpoch.Add(1)
	}
	return definitions
}

// end ends the entries of the member, user or organization that is the subject of a
// change.
func (e *Engine) end(row *db.Change, effects changes.Effects, at ending) {
	if e.without.ends {
		return
	}
	switch kind, _, _ := strings.Cut(row.Subject, "_"); kind {
	case db.MembershipKind{}.Prefix():
		e.endMember(row, at)
	case db.UserKind{}.Prefix():
		endParty[db.UserKind](e, row, effects, at)
	case db.OrganizationKind{}.Prefix():
		endParty[db.OrganizationKind](e, row, effects, at)
	}
}

// endMember ends the entry of a member. The values of the change hold the user.
func (e *Engine) endMember(row *db.Change, at ending) {
	user, ok := row.Member()
	if !ok || row.OrgID == nil {
		e.endAll(at.epoch) // never happens, but if it did, the change could concern anyone
		return
	}
	e.members.end(MemberKey{user, *row.OrgID}, at)
}

// endParty ends the names of a user or an organization, and the entries of its
// members.
func endParty[K db.Kind](e *Engine, row *db.Change, effects changes.Effects, at ending) {
	id, err := db.ParseID[K](row.Subject)
	if err != nil {
		e.endAll(at.epoch) // never happens either
		return
	}
	if effects.Names {
		e.names.endParty(uuid.UUID(id), at)
	}
	if effects.Entitlements {
		e.members.endParty(uuid.UUID(id), at)
	}
}

// endAll ends all entries.
func (e *Engine) endAll(epoch uint64) {
	e.members.endAll(epoch)
	e.names.endAll(epoch)
}
