package impact

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/db"
)

// entry is a time during which checks of a key answer otherwise for a member.
type entry struct {
	key        string
	permission *db.Permission
	// from is zero if it begins with the write, and until if it has no end.
	from, until time.Time
}

// stint is a grant of a role or permission, which holds from a moment (zero: before
// the write) until another one (zero: for good).
type stint struct {
	targetID    uuid.UUID
	from, until time.Time
}

func (s *stint) holdsAt(t time.Time) bool {
	return !s.from.After(t) && (s.until.IsZero() || s.until.After(t))
}

// timeLine is what a member is granted from the moment of a write on.
type timeLine struct {
	*access.Catalogue
	stints []stint
}

// moments returns the moments after the given one at which checks may answer
// otherwise.
func (l *timeLine) moments(after time.Time) []time.Time {
	moments := l.FormerKeysEnd(after)
	for i := range l.stints {
		for _, t := range []time.Time{l.stints[i].from, l.stints[i].until} {
			if t.After(after) {
				moments = append(moments, t)
			}
		}
	}
	return moments
}

// answersAt returns the keys for which checks answer yes at that moment.
func (l *timeLine) answersAt(t time.Time, e *access.Engine) []access.Answer {
	if len(l.stints) == 0 {
		return nil
	}
	var roles []db.RoleID
	var permissions []db.PermissionID
	for i := range l.stints {
		s := &l.stints[i]
		switch {
		case !s.holdsAt(t):
		case l.Role(db.RoleID(s.targetID)) != nil:
			roles = append(roles, db.RoleID(s.targetID))
		default:
			permissions = append(permissions, db.PermissionID(s.targetID))
		}
	}
	return l.Answers(e.NewEntitlements(roles, permissions), t)
}

// compareLines returns the times in which only after answers yes, and the times in
// which only before does, each ordered by key and beginning. Times of one key do not
// touch.
func compareLines(before, after *timeLine, at time.Time, e *access.Engine) sides[[]entry] {
	moments := append(before.moments(at), after.moments(at)...)
	slices.SortFunc(moments, time.Time.Compare)
	moments = slices.CompactFunc(moments, time.Time.Equal)
	var done, open sides[[]entry]
	step := func(t, from time.Time) {
		had, has := before.answersAt(t, e), after.answersAt(t, e)
		done[gained], open[gained] = proceed(done[gained], open[gained], onlyIn(has, had), from)
		done[lost], open[lost] = proceed(done[lost], open[lost], onlyIn(had, has), from)
	}
	step(at, time.Time{})
	for _, t := range moments {
		step(t, t)
	}
	for side := range done {
		done[side] = append(done[side], open[side]...)
		slices.SortFunc(done[side], func(a, b entry) int { return cmp.Or(cmp.Compare(a.key, b.key), a.from.Compare(b.from)) })
	}
	return done
}

// onlyIn returns the answers whose keys are not among the others' keys. Both are
// ordered by key.
func onlyIn(answers, others []access.Answer) []access.Answer {
	var only []access.Answer
	for _, a := range answers {
		for len(others) > 0 && others[0].Key < a.Key {
			others = others[1:]
		}
		if len(others) == 0 || others[0].Key != a.Key {
			only = append(only, a)
		}
	}
	return only
}

// proceed takes the step to a moment t at which the keys of differing differ: open
// entries of these keys go on, other open entries are done, and each key without an
// open entry gets one.
func proceed(done, open []entry, differing []access.Answer, t time.Time) (more, next []entry) {
	end := func(e entry) {
		e.until = t
		done = append(done, e)
	}
	for _, a := range differing {
		for len(open) > 0 && open[0].key < a.Key {
			end(open[0])
			open = open[1:]
		}
		if len(open) > 0 && open[0].key == a.Key {
			next, open = append(next, open[0]), open[1:]
			continue
		}
		next = append(next, entry{key: a.Key, permission: a.Permission, from: t})
	}
	for _, e := range open {
		end(e)
	}
	return done, next
}

// stints returns the grants that hold before the write and after it.
func (s *grantSet) stints() (before, after []stint, err error) {
	if before, err = parseLasting(s.Before); err != nil {
		return nil, nil, err
	}
	if after, err = parseLasting(s.After); err != nil || s.Terms == "" {
		return before, after, err
	}
	for text := range strings.SplitSeq(s.Terms, ",") {
		var id string
		var had, has int
		var from, formerEnd, end int64
		if _, err := fmt.Sscan(text, &id, &had, &has, &from, &formerEnd, &end); err != nil {
			return nil, nil, err
		}
		targetID, err := uuid.Parse(id)
		if err != nil {
			return nil, nil, err
		}
		if had == 1 {
			before = append(before, stint{targetID: targetID, from: momentOf(from), until: momentOf(formerEnd)})
		}
		if has == 1 {
			after = append(after, stint{targetID: targetID, from: momentOf(from), until: momentOf(end)})
		}
	}
	return before, after, nil
}

// parseLasting returns the stints of ids whose grants neither begin nor end after
// the write.
func parseLasting(ids string) ([]stint, error) {
	var all db.IDs[db.RoleKind]
	if err := all.Scan(ids); err != nil {
		return nil, err
	}
	stints := make([]stint, len(all))
	for i, id := range all {
		stints[i] = stint{targetID: uuid.UUID(id)}
	}
	return stints, nil
}

// momentOf returns the moment that many microseconds after 1970; zero for 0.
func momentOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
