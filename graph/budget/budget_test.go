package budget

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func principal(n int) Principal {
	who := Principal{Kind: 1}
	binary.BigEndian.PutUint64(who.ID[:], uint64(n))
	return who
}

func TestChargeAndRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rate := New(nil), Rate{PerSecond: 10, Burst: 100}
		charge := func(cost int, ok bool, remaining int, wait time.Duration) {
			t.Helper()
			account, charged := b.Charge(principal(1), rate, cost)
			if charged != ok || account.Remaining != remaining || account.Wait != wait || account.Limit != 100 {
				t.Errorf("%d: %v %+v, want %v, %d left, wait %v", cost, charged, account, ok, remaining, wait)
			}
		}
		charge(40, true, 60, 0)
		charge(60, true, 0, 0)
		charge(0, false, 0, 100*time.Millisecond)
		charge(30, false, 0, 3*time.Second)
		time.Sleep(3 * time.Second)
		charge(30, true, 0, 0)
		time.Sleep(time.Hour)
		charge(1000, true, 0, 0) // more than there is room for, from a full bucket
		if account := b.Take(principal(2), rate, 30); account.Remaining != 70 || account.ResetAt != time.Now().Add(3*time.Second) {
			t.Errorf("%+v", account)
		}
		if account := b.Take(principal(2), rate, 90); account.Remaining != 0 || account.ResetAt != time.Now().Add(12*time.Second) {
			t.Errorf("%+v", account)
		}
		if account, ok := b.Charge(principal(2), rate, 0); ok || account.Wait != 2100*time.Millisecond {
			t.Errorf("in debt: %+v, %t", account, ok)
		}
		if account := b.Take(principal(2), rate, 1000); account.ResetAt != time.Now().Add(20*time.Second) {
			t.Errorf("the deepest debt: %+v", account)
		}
	})
}

// Whoever makes up principals gets neither memory nor fresh budgets.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, rate := New(nil), Rate{PerSecond: 1, Burst: 10}
		passed := 0
		for i := range 3 * shards * maxBuckets {
			if _, ok := b.Charge(principal(i), rate, 5); ok {
				passed++
			}
		}
		buckets := 0
		for i := range b.shards {
			buckets += len(b.shards[i].buckets)
		}
		if most := shards * maxBuckets; buckets > most || passed > most+2*shards {
			t.Errorf("%d buckets, %d passed, want at most %d", buckets, passed, most)
		}
		if _, ok := b.Charge(principal(0), rate, 5); !ok {
			t.Error("one who was there before has lost their budget")
		}
		time.Sleep(time.Minute)
		b.Charge(principal(-1), rate, 5)
		s := &b.shards[0]
		for i := 0; len(s.buckets) > maxBuckets/2 && i < 1000; i++ {
			b.Charge(principal(-2-i), rate, 1)
		}
		if len(s.buckets) > maxBuckets/2 {
			t.Errorf("%d buckets after a minute", len(s.buckets))
		}
	})
}

func TestConcurrentChargesAreExact(t *testing.T) {
	t.Parallel()
	at := time.Now()
	b, rate := New(func() time.Time { return at }), Rate{PerSecond: 1, Burst: 1000}
	var wg sync.WaitGroup
	var mu sync.Mutex
	passed := 0
	for range 50 {
		wg.Go(func() {
			for range 100 {
				if _, ok := b.Charge(principal(7), rate, 1); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 1000 {
		t.Errorf("%d of 1000 passed", passed)
	}
}

func BenchmarkCharge(b *testing.B) {
	budgets, rate := New(nil), Rate{PerSecond: 1 << 30, Burst: 1 << 40}
	for b.Loop() {
		budgets.Charge(principal(1), rate, 7)
	}
}
