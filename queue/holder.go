package queue

import (
	"context"
	"sync"
)

type holdersKey struct{}

// WithHolders returns a context whose work counts for each of the holders, which are
// comparable values. Work without holders, such as the server's own, has no share
// that bounds it.
func WithHolders(ctx context.Context, holders ...any) context.Context {
	return context.WithValue(ctx, holdersKey{}, holders)
}

// HolderOf returns the first holder of ctx, or nil if ctx has no holders.
func HolderOf(ctx context.Context) any {
	if holders := holdersOf(ctx); len(holders) > 0 {
		return holders[0]
	}
	return nil
}

func holdersOf(ctx context.Context) []any {
	holders, _ := ctx.Value(holdersKey{}).([]any)
	return holders
}

// share returns how much of all one holder may have.
func share[N int | int64](all N) N { return max(1, all/4) }

// Room shares memory, or anything else that is counted: no holder has more than a
// quarter of it. It is safe for concurrent use.
type Room struct {
	mu     sync.Mutex
	size   int64
	used   int64
	heldBy map[any]int64
}

// NewRoom returns an empty room of that size.
func NewRoom(size int64) *Room { return &Room{size: size, heldBy: map[any]int64{}} }

// TryEnter takes n for the holders of ctx, which the caller gives back by leave. It
// reports whether there is that much for them.
func (r *Room) TryEnter(ctx context.Context, n int64) (leave func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	holders := holdersOf(ctx)
	if r.used+n > r.size {
		return nil, false
	}
	for _, h := range holders {
		if r.heldBy[h]+n > share(r.size) {
			return nil, false
		}
	}
	r.add(holders, n)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.add(holders, -n)
	}, true
}

func (r *Room) add(holders []any, n int64) {
	r.used += n
	for _, h := range holders {
		if r.heldBy[h] += n; r.heldBy[h] == 0 {
			delete(r.heldBy, h)
		}
	}
}
