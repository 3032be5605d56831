// Package budget limits what each client may ask for over time. Each client has a
// token bucket, which is filled at a constant rate up to its size; each request takes
// out what it costs.
//
//	Charge  before the work: takes the cost if it is there, or nothing
//	Take    after the work: takes the cost, if need be as a debt
//
// Begin with Budgets. The number of buckets is bounded: beyond it, newcomers share
// one.
package budget

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// Rate says how a bucket is filled, in the unit of costs.
type Rate struct{ PerSecond, Burst int }

// Principal is the owner of a bucket: an id of 128 bits, and a kind that keeps keys
// and addresses apart.
type Principal struct {
	Kind byte
	ID   [16]byte
}

// Account is the state of a bucket.
type Account struct {
	// Limit is its size, and Remaining what is in it.
	Limit, Remaining int
	// ResetAt is when it is full again if nothing is taken out.
	ResetAt time.Time
	// Wait is how long it takes until there is enough for the charge; zero if there
	// was enough.
	Wait time.Duration
}

// Budgets has the buckets of all principals. It is safe for concurrent use.
type Budgets struct {
	seed   maphash.Seed
	now    func() time.Time
	shards [shards]shard
}

// shards keep requests of many processors from waiting for each other.
const shards = 16

// maxBuckets is how many buckets a shard has at most. One takes some 100 bytes.
const maxBuckets = 4096

type shard struct {
	mu      sync.Mutex
	buckets map[Principal]*bucket
	// common is shared by the principals that came when there was no room.
	common bucket
	// swept is when full buckets were last removed.
	swept time.Time
}

type bucket struct {
	level float64   // below zero: a debt
	at    time.Time // of level
	rate  Rate
}

// New returns budgets that are all full. now is time.Now if nil.
func New(now func() time.Time) *Budgets {
	if now == nil {
		now = time.Now
	}
	b := &Budgets{seed: maphash.MakeSeed(), now: now}
	for i := range b.shards {
		b.shards[i].buckets = map[Principal]*bucket{}
	}
	return b
}

// Charge takes cost out of a principal's bucket. It returns false and takes nothing
// if less than cost is in it, or nothing at all. A cost that is larger than the
// bucket takes all of a full one.
func (b *Budgets) Charge(who Principal, rate Rate, cost int) (Account, bool) {
	return b.with(who, rate, func(k *bucket) (time.Duration, bool) {
		needed := min(float64(max(cost, 1)), float64(rate.Burst))
		if k.level < needed {
			return time.Duration(math.Ceil((needed - k.level) / float64(rate.PerSecond) * float64(time.Second))), false
		}
		k.level = max(0, k.level-float64(cost))
		return 0, true
	})
}

// Take takes cost out of a principal's bucket, for work that is done already. If less
// is in it, the principal is in debt, by no more than the bucket holds, and gets
// nothing until that is paid: otherwise what was left, however little, would pay for
// the next large request.
func (b *Budgets) Take(who Principal, rate Rate, cost int) Account {
	account, _ := b.with(who, rate, func(k *bucket) (time.Duration, bool) {
		k.level = max(-float64(rate.Burst), k.level-float64(cost))
		return 0, true
	})
	return account
}

func (b *Budgets) with(who Principal, rate Rate, use func(*bucket) (time.Duration, bool)) (Account, bool) {
	s, now := &b.shards[maphash.Comparable(b.seed, who)%shards], b.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.bucket(who, rate, now)
	wait, ok := use(k)
	missing := float64(rate.Burst) - k.level
	return Account{
		Limit: rate.Burst, Remaining: max(0, int(k.level)), Wait: wait,
		ResetAt: now.Add(time.Duration(missing / float64(rate.PerSecond) * float64(time.Second))),
	}, ok
}

// bucket returns a principal's bucket, filled up to now.
func (s *shard) bucket(who Principal, rate Rate, now time.Time) *bucket {
	k := s.buckets[who]
	if k == nil {
		k = s.add(who, rate, now)
	}
	k.fill(rate, now)
	return k
}

// add returns a new bucket. If there is no room, even after full buckets are removed,
// newcomers share one: nobody gets a fresh budget by making up addresses, and earlier
// principals keep theirs.
func (s *shard) add(who Principal, rate Rate, now time.Time) *bucket {
	if len(s.buckets) >= maxBuckets && now.Sub(s.swept) >= time.Second {
		s.sweep(now)
	}
	if len(s.buckets) >= maxBuckets {
		return &s.common
	}
	k := &bucket{level: float64(rate.Burst), at: now, rate: rate}
	s.buckets[who] = k
	return k
}

func (s *shard) sweep(now time.Time) {
	s.swept = now
	for who, k := range s.buckets {
		k.fill(k.rate, now)
		if k.level >= float64(k.rate.Burst) {
			delete(s.buckets, who)
		}
	}
}

func (k *bucket) fill(rate Rate, now time.Time) {
	if k.rate == (Rate{}) { // the common one, on its first use
		k.level = float64(rate.Burst)
	}
	k.rate = rate
	if passed := now.Sub(k.at); passed > 0 {
		k.level += passed.Seconds() * float64(rate.PerSecond)
		k.at = now
	}
	k.level = min(k.level, float64(rate.Burst))
}
