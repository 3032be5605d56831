package access

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"roster/changes"
	"roster/db"
)

// Catalogue returns the current roles and permissions. Changes by other servers may
// be missing for as long as the staleness bound. Within a transaction, Catalogue sees
// the transaction's own changes.
func (e *Engine) Catalogue(ctx context.Context) (*Catalogue, error) {
	if !db.HasTx(ctx) {
		for range maxTries {
			s := e.snapshot.Load()
			if !e.fresh(e.now()) {
				break
			}
			if e.current(s) {
				if e.now() >= s.until {
					break
				}
				return s.Catalogue, nil
			}
			if err := await(ctx, s.replaced); err != nil {
				return nil, err
			}
		}
	}
	return e.readCatalogue(ctx)
}

const (
	// maxTries is how often memory is tried while roles are changing. If they change all
	// the time, the database answers.
	maxTries = 3
	// feedWaitTimeout is how long one try waits for the feed, which takes some 5 ms to
	// deliver a change and the catalogue after it. Waiting is cheap: if each request
	// read the whole catalogue instead, the requests would delay the feed.
	feedWaitTimeout = 100 * time.Millisecond
)

// await returns when a catalogue is replaced, or after feedWaitTimeout. Nothing
// replaces a nil one. It returns an error only if ctx ends.
func await(ctx context.Context, replaced <-chan struct{}) error {
	timer := time.NewTimer(feedWaitTimeout)
	defer timer.Stop()
	select {
	case <-replaced:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// cached returns the entry of the member, or nil if there is none that still counts.
func (e *Engine) cached(member *MemberKey, now time.Duration) *Entitlements {
	if e.without.meanwhile != nil {
		e.without.meanwhile()
	}
	if entry := e.members.get(*member); entry != nil && now < entry.until {
		return entry
	}
	return nil
}

// Check reports whether the member has the permission, which is a key. It reports
// known as false if memory does not know: then View has to be asked.
func (e *Engine) Check(member MemberKey, permission string) (allowed, known bool) {
	now := e.now()
	s := e.snapshot.Load()
	if !e.fresh(now) || !e.current(s) {
		return false, false
	}
	entry := e.cached(&member, now)
	if entry == nil || s.mayHaveEnded(now, permission) || !e.current(s) && !e.without.recheck {
		return false, false
	}
	e.hits.Add(1)
	return s.Allows(entry, permission), true
}

// View returns the entitlements of the members, in their order, and the catalogue to
// read them with. One statement reads all that are not in memory. The caller passes
// the keys of the permissions that it will ask Allows for: if one of them is a former
// key that may have ceased to answer, the database answers.
func (e *Engine) View(ctx context.Context, members []MemberKey, permissions ...string) (*Catalogue, []*Entitlements, error) {
	if len(members) == 0 {
		c, err := e.Catalogue(ctx)
		return c, nil, err
	}
	if !db.HasTx(ctx) {
		again := true
		for try := 0; again && try < maxTries; try++ {
			var c *Catalogue
			var all []*Entitlements
			var err error
			if c, all, again, err = e.viewMemory(ctx, members, permissions); err != nil || c != nil {
				return c, all, err
			}
		}
	}
	return e.viewExact(ctx, members)
}

// viewExact is View by the database alone.
func (e *Engine) viewExact(ctx context.Context, members []MemberKey) (c *Catalogue, all []*Entitlements, err error) {
	e.exact.Add(uint64(len(members)))
	err = e.db.InSnapshot(ctx, func(ctx context.Context) error {
		if all, err = e.readExact(ctx, members); err != nil {
			return err
		}
		c, err = e.readCatalogue(ctx)
		return err
	})
	return c, all, err
}

// viewMemory is one try of View with the catalogue in memory. It returns a nil
// catalogue if it did not succeed; then again reports whether another try is worth
// while. If the feed is not fresh, no entry counts. The catalogue still counts if the
// statement that reads the members finds no change of roles that the feed has not
// delivered.
func (e *Engine) viewMemory(ctx context.Context, members []MemberKey, permissions []string) (c *Catalogue, all []*Entitlements, again bool, err error) {
	now := e.now()
	s, fresh := e.snapshot.Load(), e.fresh(now)
	if !fresh {
		e.stale.Add(uint64(len(members)))
	}
	if !e.current(s) {
		if fresh {
			err = await(ctx, s.replaced)
		}
		return nil, nil, fresh, err
	}
	if s.mayHaveEnded(now, permissions...) {
		return nil, nil, false, nil
	}
	all = make([]*Entitlements, len(members))
	var missing []int
	for i := range members {
		if fresh {
			all[i] = e.cached(&members[i], now)
		}
		if all[i] == nil {
			missing = append(missing, i)
		}
	}
	e.hits.Add(uint64(len(members) - len(missing)))
	if len(missing) > 0 {
		filled, err := e.fill(ctx, members, all, missing, fresh)
		if err != nil || !filled {
			return nil, nil, fresh, err
		}
	}
	if !e.current(s) && !e.without.recheck {
		return nil, nil, true, nil
	}
	return s.Catalogue, all, false, nil
}

// fill reads the members whose indexes are in missing, and sets their entitlements.
// It reports false, and sets nothing, if the reading does not fit what the feed has
// delivered: it saw changes of roles that the feed has not delivered, or did not see
// changes that were announced. If wait is true, fill first waits until another
// reading may fit.
func (e *Engine) fill(ctx context.Context, members []MemberKey, all []*Entitlements, missing []int, wait bool) (filled bool, err error) {
	e.misses.Add(uint64(len(missing)))
	wanted := make([]MemberKey, len(missing))
	for i, at := range missing {
		wanted[i] = members[at]
	}
	epoch := e.epoch.Load() // read before the database
	read, seen, err := e.readLive(ctx, wanted, e.feed.Load().Position())
	if err != nil {
		return false, err
	}
	switch filled = read != nil && e.keep(wanted, read, epoch, seen); {
	case filled:
		for i, at := range missing {
			all[at] = read[i]
		}
	case wait && read == nil:
		err = e.catchUp(ctx, seen)
	case wait:
		err = await(ctx, nil)
	}
	return filled, err
}

// keep puts entitlements into memory that were read at that epoch or later. It reports
// false, and keeps none, if the reading did not see a change of one of the members
// that was announced before.
func (e *Engine) keep(members []MemberKey, read []*Entitlements, epoch uint64, seen changes.Revision) bool {
	if e.without.reading != nil {
		e.without.reading()
	}
	if e.without.announcements {
		epoch = math.MaxUint64
	}
	for _, m := range members {
		if !e.without.announcements && !e.members.saw(m, epoch, seen, uuid.UUID(m.User), uuid.UUID(m.Organization)) {
			return false
		}
	}
	for i, m := range members {
		e.members.keep(m, *read[i], epoch, uuid.UUID(m.User), uuid.UUID(m.Organization))
	}
	return true
}

// catchUp waits until the feed has delivered what a statement saw, for
// feedWaitTimeout at most. It returns an error only if ctx ends.
func (e *Engine) catchUp(ctx context.Context, seen changes.Revision) error {
	waiting, cancel := context.WithTimeout(ctx, feedWaitTimeout)
	defer cancel()
	_ = e.feed.Load().Wait(waiting, seen)
	return ctx.Err()
}
