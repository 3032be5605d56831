package access

import (
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"roster/changes"
	"roster/db"
)

// memory is an engine without a database, with members in its cache.
type memory struct {
	*Engine
	members []MemberKey
}

func newMemory(entries, members, organizations int) *memory {
	m := &memory{Engine: NewEngine(nil, Options{Entries: entries, Log: slog.New(slog.DiscardHandler)})}
	m.members = newMembers(members, organizations)
	for _, key := range m.members {
		m.remember(key)
	}
	return m
}

// newMembers returns the keys of new users, who belong to new organizations in turns.
func newMembers(n, organizations int) []MemberKey {
	members, orgs := make([]MemberKey, n), make([]db.OrganizationID, organizations)
	for i := range orgs {
		orgs[i] = db.NewID[db.OrganizationKind]()
	}
	for i := range members {
		members[i] = MemberKey{db.NewID[db.UserKind](), orgs[i%organizations]}
	}
	return members
}

// remember keeps the member and a name of the user, as reading them would.
func (m *memory) remember(key MemberKey) {
	m.Engine.members.keep(key, *m.NewEntitlements(nil, nil), m.Epoch(), uuid.UUID(key.User), uuid.UUID(key.Organization))
	m.Remember(nameOfUser(key), uuid.UUID(key.User), m.Epoch())
}

func nameOfUser(key MemberKey) Name { return NewName("users", "email", key.User.String()) }

// known returns how many members, and how many names, memory knows.
func (m *memory) known() (members, names int) {
	for _, key := range m.members {
		if m.cached(&key, 0) != nil {
			members++
		}
		if m.Engine.names.get(nameOfUser(key)) != nil {
			names++
		}
	}
	return members, names
}

func granted(key MemberKey) db.Change {
	return db.Change{
		Action: changes.RoleGranted.String(), Subject: db.NewID[db.MembershipKind]().String(), OrgID: &key.Organization,
		After: []byte(`{"userId":"` + key.User.String() + `"}`),
	}
}

// Grants to others, in the same organizations and elsewhere, cost no hits.
func TestGrantsToOthersCostNoHits(t *testing.T) {
	t.Parallel()
	const hot = 100_000
	m := newMemory(2*hot, hot, 200)
	for i, other := range newMembers(9600, 400) {
		if i%2 == 0 {
			other.Organization = m.members[i].Organization
		}
		m.Committed([]db.Change{granted(other)})
	}
	if members, names := m.known(); members != hot || names != hot {
		t.Errorf("after grants to others, %d members and %d names of %d are known", members, names, hot)
	}
}

// A change ends the entries of what it concerns, and no others.
func TestChangesEndWhatTheyConcern(t *testing.T) {
	t.Parallel()
	const all, organizations = 1000, 10
	for name, test := range map[string]struct {
		change                 func(MemberKey) db.Change
		endsMembers, endsNames int
	}{
		"grant": {granted, 1, 0},
		"profile": {func(key MemberKey) db.Change {
			return db.Change{Action: changes.UserUpdated.String(), Subject: key.User.String()}
		}, 0, 1},
		"user suspended": {func(key MemberKey) db.Change {
			return db.Change{Action: changes.UserSuspended.String(), Subject: key.User.String()}
		}, 1, 0},
		"organization suspended": {func(key MemberKey) db.Change {
			return db.Change{Action: changes.OrganizationSuspended.String(), Subject: key.Organization.String()}
		}, all / organizations, 0},
		"summary of an organization's members": {func(key MemberKey) db.Change {
			return db.Change{Action: changes.MembershipDeleted.String(), Subject: key.Organization.String(), OrgID: &key.Organization}
		}, all / organizations, 0},
		"role":    {func(MemberKey) db.Change { return db.Change{Action: changes.RoleUpdated.String(), Subject: "role_1"} }, 0, 0},
		"unknown": {func(MemberKey) db.Change { return db.Change{Action: "team.left", Subject: "team_1"} }, all, all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(all, all, organizations)
			before := m.Epoch()
			concerned := m.members[rand.IntN(all)]
			m.Committed([]db.Change{test.change(concerned)})
			members, names := m.known()
			if all-members != test.endsMembers || all-names != test.endsNames {
				t.Errorf("%d members and %d names have ended, not %d and %d", all-members, all-names, test.endsMembers, test.endsNames)
			}
			for _, key := range m.members { // read before the change
				m.Engine.members.keep(key, Entitlements{until: never}, before, uuid.UUID(key.User), uuid.UUID(key.Organization))
			}
			if members, _ := m.known(); all-members != test.endsMembers {
				t.Errorf("what was read before is kept: %d members are unknown, not %d", all-members, test.endsMembers)
			}
			for _, key := range m.members { // read after it
				m.remember(key)
			}
			if members, names := m.known(); members != all || names != all {
				t.Errorf("what was read afterwards is not kept: %d members and %d names are known", members, names)
			}
		})
	}
}

// A reset ends everything, also what is being read.
func TestResetEndsEverything(t *testing.T) {
	t.Parallel()
	m := newMemory(100, 100, 10)
	before := m.Epoch()
	m.Reset()
	for _, key := range m.members {
		m.Engine.members.keep(key, Entitlements{until: never}, before)
	}
	if members, names := m.known(); members != 0 || names != 0 {
		t.Errorf("%d members and %d names are known", members, names)
	}
}

// Entries that are read again and again stay while many others are read once.
func TestHotEntriesStay(t *testing.T) {
	t.Parallel()
	const hot, limit = 900, 1000
	m := newMemory(limit, hot, 10)
	m.known() // reads each once
	const others = 20 * limit
	misses := 0
	for _, other := range newMembers(others, 10) {
		m.remember(other)
		if key := m.members[rand.IntN(hot)]; m.cached(&key, 0) == nil {
			misses++
			m.remember(key)
		}
	}
	if misses > others/20 {
		t.Errorf("%d of %d are not in memory", misses, others)
	}
	if s := m.Stats(); s.Entries != limit || s.Names != limit || s.Evictions < 2*others-2*limit {
		t.Errorf("%+v", s)
	}
}

// cacheModel is a cache and what it may hold.
type cacheModel struct {
	*cache[string, int]
	epoch uint64
	// kept holds what was kept last by each key, unless it has ended.
	kept map[string]modelValue
	// endedAt holds the epochs at which keys and parties have ended.
	endedAt map[any]uint64
	last    int
}

type modelValue struct {
	value   int
	parties []uuid.UUID
}

var (
	modelKeys    = rapid.Map(rapid.IntRange(0, 9), strconv.Itoa)
	modelParties = rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 3), func(i int) uuid.UUID { return uuid.UUID{byte(i)} }), 0, 2, rapid.ID)
)

// Keep keeps a value that was read some epochs ago.
func (m *cacheModel) Keep(t *rapid.T) {
	key, parties := modelKeys.Draw(t, "key"), modelParties.Draw(t, "parties")
	epoch := m.epoch - min(m.epoch, uint64(rapid.IntRange(0, 3).Draw(t, "ago")))
	m.last++
	m.keep(key, m.last, epoch, parties...)
	ended := m.endedAt[key] > epoch || m.endedAt["all"] > epoch
	for _, id := range parties {
		ended = ended || m.endedAt[id] > epoch
	}
	if !ended {
		m.kept[key] = modelValue{m.last, parties}
	}
}

// End ends a key.
func (m *cacheModel) End(t *rapid.T) {
	key := modelKeys.Draw(t, "key")
	m.epoch++
	m.end(key, ending{epoch: m.epoch})
	m.endedAt[key] = m.epoch
	delete(m.kept, key)
}

// EndParty ends a party.
func (m *cacheModel) EndParty(t *rapid.T) {
	m.epoch++
	for _, id := range modelParties.Draw(t, "party") {
		m.endParty(id, ending{epoch: m.epoch})
		m.endedAt[id] = m.epoch
		for key, v := range m.kept {
			for _, of := range v.parties {
				if of == id {
					delete(m.kept, key)
				}
			}
		}
	}
}

// EndAll ends everything.
func (m *cacheModel) EndAll(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "seldom") > 0 {
		return
	}
	m.epoch++
	m.endAll(m.epoch)
	m.endedAt["all"] = m.epoch
	clear(m.kept)
}

// Check compares the cache with the model, after each step.
func (m *cacheModel) Check(t *rapid.T) {
	known := 0
	for i := range 10 {
		key := strconv.Itoa(i)
		found, want := m.get(key), m.kept[key].value
		switch {
		case found != nil && *found != want:
			t.Fatalf("%s is %d, not %d", key, *found, want)
		case found == nil && want != 0 && m.limit >= 10:
			t.Fatalf("%s is lost", key)
		case found != nil:
			known++
		}
	}
	if m.count > m.limit || known > m.count {
		t.Fatalf("%d are known, of %d, of at most %d", known, m.count, m.limit)
	}
	members, listed := 0, 0
	for _, p := range m.parties {
		members += p.values
	}
	for n := m.oldest; n != nil; n = n.newer {
		listed++
		for _, p := range n.parties {
			if p != nil && !p.over.Load() {
				members--
			}
		}
	}
	if members != 0 || listed != m.count {
		t.Fatalf("%d are in the list, not %d; %d too many are counted for parties", listed, m.count, members)
	}
}

// A cache holds what was kept last and has not ended; all of it, if there is room.
func TestCacheAgainstModel(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 3, 10} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				m := &cacheModel{cache: newCache[string, int](limit), kept: map[string]modelValue{}, endedAt: map[any]uint64{}}
				t.Repeat(map[string]func(*rapid.T){"Keep": m.Keep, "End": m.End, "EndParty": m.EndParty, "EndAll": m.EndAll, "": m.Check})
			})
		})
	}
}

// When more has ended than is remembered, what was read before counts as ended.
func TestForgottenAnnouncements(t *testing.T) {
	t.Parallel()
	c := newCache[int, int](10)
	for key := range 2*maxAnnouncements + 1 {
		c.end(key, ending{epoch: 1 + uint64(key/maxAnnouncements)})
	}
	c.keep(-1, 1, 0)
	c.keep(maxAnnouncements, 1, 1) // which has ended since
	c.keep(-2, 1, 1)
	if c.get(-1) != nil || c.get(maxAnnouncements) != nil || c.get(-2) == nil {
		t.Error("kept what may have ended, or dropped what was read afterwards")
	}
	if n := len(c.keysEnded.recent) + len(c.keysEnded.earlier); n > 2*maxAnnouncements {
		t.Errorf("%d ends are remembered", n)
	}
}

// While many goroutines read, keep and end the same few keys, nobody finds a value
// that had ended before they asked.
func TestCacheInParallel(t *testing.T) {
	t.Parallel()
	const keys, rounds = 4, 20_000
	c := newCache[int, uint64](keys - 1)
	var truth [keys]atomic.Uint64 // the version of each key in the database
	var ended [keys]atomic.Uint64 // the version up to which all ends were announced
	var epoch atomic.Uint64
	party := func(key int) uuid.UUID { return uuid.UUID{byte(key)} }
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range rounds {
				key := rand.IntN(keys)
				least := ended[key].Load()
				if found := c.get(key); found != nil {
					if *found < least {
						t.Errorf("found version %d, after version %d was announced", *found, least)
						return
					}
					continue
				}
				at := epoch.Load()
				c.keep(key, truth[key].Load(), at, party(key))
			}
		})
	}
	work.Go(func() {
		for i := range rounds {
			key := rand.IntN(keys)
			version := truth[key].Add(1)
			if at := epoch.Add(1); i%2 == 0 {
				c.end(key, ending{epoch: at})
			} else {
				c.endParty(party(key), ending{epoch: at})
			}
			ended[key].Store(version)
		}
	})
	work.Wait()
}
